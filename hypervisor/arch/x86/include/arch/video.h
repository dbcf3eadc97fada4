/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The display as a console, until dom0 takes it: VGA text or a linear framebuffer. */
#ifndef ARCH_VIDEO_H
#define ARCH_VIDEO_H

struct mb2_info;

/* Registers the console for what the boot loader set up; memory is reached by its identity map for now. */
void video_console_init(const struct mb2_info *info);
/* The identity map is gone: maps the display's memory for good. */
void video_console_remap(void);

#endif
