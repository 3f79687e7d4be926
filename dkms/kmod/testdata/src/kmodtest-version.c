// SPDX-License-Identifier: GPL-2.0
/* A module that fills its .modinfo as fully as a real driver does. */
#include <linux/module.h>

static int level = 1;
module_param(level, int, 0644);
MODULE_PARM_DESC(level, "how much is told: 0=nothing, 1=some");

static char *label = "none";
module_param(label, charp, 0444);
MODULE_PARM_DESC(label, "a text with \"quotes\" and = signs");

static int ports[4];
static unsigned int ports_count;
module_param_array(ports, int, &ports_count, 0444);

static bool quiet;
module_param(quiet, bool, 0444);

MODULE_PARM_DESC(ghost, "described, but there is no such parameter");

static int __init kmodtest_init(void)
{
	return level + ports[0] + quiet + label[0] == 0;
}

static void __exit kmodtest_exit(void)
{
}

module_init(kmodtest_init);
module_exit(kmodtest_exit);

#ifndef MODULE_WEAKDEP
#define MODULE_WEAKDEP(text) MODULE_INFO(weakdep, text)
#endif

MODULE_LICENSE("GPL");
MODULE_AUTHOR("First Author <first@example.org>");
MODULE_AUTHOR("Zweite Autorin <zweite@example.org>");
MODULE_DESCRIPTION("Says as much as it can: key=value, \xc3\xa4\xc3\xb6\xc3\xbc");
MODULE_VERSION("1.2.3 abcdef0123456789");
MODULE_ALIAS("kmodtest");
MODULE_ALIAS("char-major-240-*");
MODULE_SOFTDEP("pre: crc32c post: dummy");
MODULE_SOFTDEP("pre: libcrc32c");
MODULE_WEAKDEP("lz4");
MODULE_FIRMWARE("kmodtest/one.bin");
MODULE_INFO(odd, "");
