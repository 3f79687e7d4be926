// SPDX-License-Identifier: GPL-2.0
/*
 * A module with the tables that CONFIG_EXTENDED_MODVERSIONS makes modpost add to
 * the generated .mod.c, in the form in which it writes them. _printk is in both
 * tables with different checksums, to show which one counts.
 */
#include <linux/module.h>

#define LONG_NAME kmodtest_a_name_that_is_much_too_long_for_the_sixty_four_byte_records_of_old

extern int LONG_NAME(void) __attribute__((weak));

#ifndef CONFIG_EXTENDED_MODVERSIONS
static const u32 ____version_ext_crcs[]
__used __section("__version_ext_crcs") = {
	0x11111111,
	0x89abcdef,
	0x01234567,
};
static const char ____version_ext_names[]
__used __section("__version_ext_names") =
	"_printk\0"
	"kmodtest_a_name_that_is_much_too_long_for_the_sixty_four_byte_records_of_old\0"
	"kmodtest_only_a_checksum\0"
;
#endif

static int __init kmodtest_init(void)
{
	if (LONG_NAME)
		pr_info("%d\n", LONG_NAME());
	return 0;
}

static void __exit kmodtest_exit(void)
{
}

module_init(kmodtest_init);
module_exit(kmodtest_exit);
MODULE_LICENSE("GPL");
