// SPDX-License-Identifier: Apache-2.0 OR GPL-2.0
#include <linux/module.h>

static int __init hello_init(void)
{
	return GREETING;
}

static void __exit hello_exit(void)
{
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_DESCRIPTION("does nothing");
MODULE_VERSION("1.0");
MODULE_LICENSE("GPL");
