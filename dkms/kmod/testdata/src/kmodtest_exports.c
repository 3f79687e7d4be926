// SPDX-License-Identifier: GPL-2.0
/* A module that others build upon. */
#include <linux/module.h>
#include "kmodtest.h"

int kmodtest_number = 42;
EXPORT_SYMBOL(kmodtest_number);

int kmodtest_for_all(int n)
{
	return n + 1;
}
EXPORT_SYMBOL(kmodtest_for_all);

int kmodtest_for_gpl(const char *text)
{
	return text[0];
}
EXPORT_SYMBOL_GPL(kmodtest_for_gpl);

int kmodtest_in_space(void)
{
	return 3;
}
EXPORT_SYMBOL_NS(kmodtest_in_space, KMODTEST_NS);

int kmodtest_in_space_for_gpl(void *p)
{
	return p != NULL;
}
EXPORT_SYMBOL_NS_GPL(kmodtest_in_space_for_gpl, KMODTEST_NS);

MODULE_LICENSE("GPL");
MODULE_VERSION("2.0");
