/* SPDX-License-Identifier: GPL-2.0 */
#include <linux/version.h>

/* Name spaces are strings from 6.13 on, and were bare words before. */
#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 13, 0)
#define KMODTEST_NS "KMODTEST"
#else
#define KMODTEST_NS KMODTEST
#endif

extern int kmodtest_number;
int kmodtest_for_all(int n);
int kmodtest_for_gpl(const char *text);
int kmodtest_in_space(void);
int kmodtest_in_space_for_gpl(void *p);
