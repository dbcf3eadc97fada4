# SPDX-License-Identifier: GPL-2.0-or-later
# The font of the framebuffer console: the ASCII characters of GNU Unifont, as GRUB ships them.

CONSOLE_FONT ?= /usr/share/grub/ascii.pf2
HV_GENERATED := $(O)/hv/font.o

$(CONSOLE_FONT):
	@echo "$@ is missing: run make deps (grub-common)" >&2; exit 1

$(O)/hv/font.c: tools/font.py $(CONSOLE_FONT)
	$(say) FONT $@
	@mkdir -p $(@D)
	$(Q)$(PYTHON) tools/font.py $(CONSOLE_FONT) > $@

$(O)/hv/font.o: $(O)/hv/font.c hypervisor/arch/x86/include/arch/video.h $(O)/hv/.flags | $(ABI)
	$(Q)$(CC) $(HV_CPPFLAGS) $(HV_CFLAGS) -c $< -o $@
