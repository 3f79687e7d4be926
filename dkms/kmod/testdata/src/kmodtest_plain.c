// SPDX-License-Identifier: GPL-2.0
/* A module that says next to nothing. */
#include <linux/module.h>

MODULE_LICENSE("GPL");
