	.section .modinfo, "a"
	.string "license=GPL"
	.string "alias=pci:v00001AF4d*"
	.string "name=little"
