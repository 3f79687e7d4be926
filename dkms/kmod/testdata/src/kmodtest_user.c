// SPDX-License-Identifier: GPL-2.0
/* A module that needs another one, and would like a third. */
#include <linux/module.h>
#include <linux/pci.h>
#include "kmodtest.h"

extern int kmodtest_nowhere(void) __attribute__((weak));

static const struct pci_device_id kmodtest_ids[] = {
	{ PCI_DEVICE(0x1af4, 0x10ff) },
	{ PCI_DEVICE_CLASS(0x0c0330, 0xffffff) },
	{ }
};
MODULE_DEVICE_TABLE(pci, kmodtest_ids);

static int __init kmodtest_init(void)
{
	int n = kmodtest_for_all(kmodtest_number) + kmodtest_for_gpl("x") + kmodtest_in_space() +
		kmodtest_in_space_for_gpl(NULL);

	if (kmodtest_nowhere)
		n += kmodtest_nowhere();
	pr_info("kmodtest: %d\n", n);
	return 0;
}

static void __exit kmodtest_exit(void)
{
	pr_info("kmodtest: gone\n");
}

module_init(kmodtest_init);
module_exit(kmodtest_exit);

MODULE_IMPORT_NS(KMODTEST_NS);
MODULE_LICENSE("GPL");
