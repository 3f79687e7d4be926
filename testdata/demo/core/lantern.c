// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * lantern - a light that others may switch on.
 *
 * It owns no hardware: a flash is a line in the kernel log. It exists to be
 * built, signed, installed, indexed and loaded.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "../lantern.h"

static unsigned int brightness = 3;
module_param(brightness, uint, 0644);
MODULE_PARM_DESC(brightness, "how bright a flash is, 0 (dark) to 9 (default 3)");

static unsigned long flashes;

void lantern_flash(const char *pattern)
{
	if (!brightness)
		return;
	flashes++;
	pr_info("lantern: %s (brightness %u)\n", pattern, min(brightness, 9U));
}
EXPORT_SYMBOL_GPL(lantern_flash);

static int __init lantern_init(void)
{
	pr_info("lantern: ready\n");
	return 0;
}

static void __exit lantern_exit(void)
{
	pr_info("lantern: out, after %lu flashes\n", flashes);
}

module_init(lantern_init);
module_exit(lantern_exit);

MODULE_DESCRIPTION("A light that flashes in the kernel log");
MODULE_AUTHOR("The dkms-go authors");
MODULE_VERSION("1.0.0");
MODULE_LICENSE("Dual MIT/GPL");
MODULE_ALIAS("platform:lantern");
