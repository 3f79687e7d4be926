/* SPDX-License-Identifier: GPL-2.0 OR MIT */
#ifndef LANTERN_H
#define LANTERN_H

/* lantern_flash - show one line of light, as dots and dashes, in the kernel log */
void lantern_flash(const char *pattern);

#endif
