// SPDX-License-Identifier: GPL-2.0 OR MIT
/*
 * lantern_signal - flashes a message in Morse code when it is loaded.
 *
 * Needs lantern, whose function it calls: modprobe finds that out from the
 * index that depmod wrote.
 */
#include <linux/ctype.h>
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#include "../lantern.h"

static char *message = "hello";
module_param(message, charp, 0444);
MODULE_PARM_DESC(message, "what to flash; letters count, all else is a pause (default hello)");

static const char *const morse[] = {
	".-", "-...", "-.-.", "-..", ".", "..-.", "--.", "....", "..",
	".---", "-.-", ".-..", "--", "-.", "---", ".--.", "--.-", ".-.",
	"...", "-", "..-", "...-", ".--", "-..-", "-.--", "--..",
};

static int __init lantern_signal_init(void)
{
	const char *c;

	for (c = message; *c; c++) {
		int letter = tolower(*c) - 'a';

		if (letter >= 0 && letter < ARRAY_SIZE(morse))
			lantern_flash(morse[letter]);
	}
	return 0;
}

static void __exit lantern_signal_exit(void)
{
}

module_init(lantern_signal_init);
module_exit(lantern_signal_exit);

MODULE_DESCRIPTION("Flashes a message in Morse code through lantern");
MODULE_AUTHOR("The dkms-go authors");
MODULE_VERSION("1.0.0");
MODULE_LICENSE("Dual MIT/GPL");
