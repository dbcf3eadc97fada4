# SPDX-License-Identifier: GPL-2.0-or-later
# Tools and flags that several parts of the build share.

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-8s %s\n'
endif

ifneq ($(filter undefined default,$(origin CC)),)
CC := gcc
endif
ifneq ($(filter undefined default,$(origin LD)),)
LD := ld
endif
ifneq ($(filter undefined default,$(origin AR)),)
AR := ar
endif
NM ?= nm
OBJCOPY ?= objcopy
CLANG ?= clang
PYTHON ?= python3

space := $(subst ,, )
rwildcard3 = $(foreach e,$(2),$(wildcard $(1)/*.$(e) $(1)/*/*.$(e) $(1)/*/*/*.$(e)))

# Text of the variable $(1) in file $(2), rewritten only when it changes: what depends on it is rebuilt when
# the compiler or its flags change. Written while make reads this, as a recipe would always be due for "make -q".
define stamp
$(shell mkdir -p $(dir $(2)); { [ -e $(2) ] && printf '%s' '$($(1))' | cmp -s - $(2); } || printf '%s' '$($(1))' > $(2))
$(2): ;
endef
FORCE:
.PHONY: FORCE

# Text behind "// $(1):" in the first ten lines of a file: how tests and tools declare what they link.
declared = $(strip $(shell sed -sn '1,10s|^// $(1):||p' $(2)))

WARNINGS := -Wall -Wextra -Werror -Wshadow -Wundef -Wvla -Wimplicit-fallthrough -Wstrict-prototypes \
	-Wmissing-prototypes

# The guest ABI comes from libxen-dev; the tools' view of it includes the control operations.
XEN_DEFS := -D__XEN_TOOLS__ -D__XEN_INTERFACE_VERSION__=__XEN_LATEST_INTERFACE_VERSION__

ABI := $(O)/abi/xen
$(ABI):
	@test -e /usr/include/xen/xen.h || { echo "libxen-dev is missing: run make deps" >&2; exit 1; }
	@mkdir -p $(@D)
	@ln -sfn /usr/include/xen $@

# Compiles C for no operating system: nothing of libc is in reach, only the compiler's own headers.
FREESTANDING := -std=gnu11 -ffreestanding -nostdinc \
	-isystem $(shell $(CC) -print-file-name=include) -isystem $(O)/abi
