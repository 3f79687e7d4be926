	.section .comment
	.string "clang version 19.1.7"
