# SPDX-License-Identifier: GPL-2.0-or-later
# qrexec: the policy engine, the wire library and the programs, build/qrexec/<program>. Every qrexec/tool/*.c
# is one program; it links what else it needs below qrexec/. qrexec/etc has what is
# installed as it is: services, their configuration, units, scripts.

QREXEC_SRCS := $(sort $(wildcard qrexec/policy/*.c qrexec/lib/*.c qrexec/service/*.c))
QREXEC_DAEMON_SRCS := $(sort $(wildcard qrexec/daemon/*.c))
QREXEC_AGENT_SRCS := $(sort $(wildcard qrexec/agent/*.c))
QREXEC_TOOLS := $(sort $(wildcard qrexec/tool/*.c))
QREXEC_PROGRAMS := $(foreach t,$(QREXEC_TOOLS),$(O)/qrexec/$(subst _,-,$(notdir $(t:.c=))))
QREXEC_OBJS := $(QREXEC_SRCS:%=$(O)/qrexec/obj/%.o)
QREXEC_CFLAGS := -std=gnu11 -O2 -g -fPIE -fno-strict-aliasing -fstack-protector-strong -D_FORTIFY_SOURCE=2 $(WARNINGS)
QREXEC_LDFLAGS := -pie -Wl,-z,now,-z,relro
QREXEC_FLAGS_ALL = $(CC) $(QREXEC_CFLAGS) $(QREXEC_LDFLAGS)
$(eval $(call stamp,QREXEC_FLAGS_ALL,$(O)/qrexec/.flags))

$(O)/qrexec/obj/%.o: % $(O)/qrexec/.flags
	$(say) CC $<
	@mkdir -p $(@D)
	$(Q)$(CC) $(QREXEC_CFLAGS) -MMD -MP -c $< -o $@

$(O)/qrexec/libqrexec.a: $(QREXEC_OBJS)
	$(say) AR $@
	$(Q)rm -f $@ && $(AR) rcs $@ $^

# What only one program consists of.
qrexec_own = $(1) $(if $(filter %/qrexec_daemon.c,$(1)),$(QREXEC_DAEMON_SRCS)) $(if $(filter %/qrexec_agent.c,$(1)),$(QREXEC_AGENT_SRCS))
qrexec_libs = $(if $(filter %/qrexec_agent.c,$(1)),-lpam)

define qrexec_program
$(O)/qrexec/$(subst _,-,$(notdir $(1:.c=))): $(patsubst %,$(O)/qrexec/obj/%.o,$(call qrexec_own,$(1))) $(O)/qrexec/libqrexec.a $(VCHAN_LIB)
	$$(say) LD $$@
	$$(Q)$$(CC) $$(QREXEC_LDFLAGS) -o $$@ $$^ $(call qrexec_libs,$(1))
endef
$(foreach t,$(QREXEC_TOOLS),$(eval $(call qrexec_program,$(t))))

qrexec: $(QREXEC_PROGRAMS)
all: qrexec

-include $(QREXEC_OBJS:.o=.d) $(patsubst %,$(O)/qrexec/obj/%.d,$(QREXEC_TOOLS) $(QREXEC_DAEMON_SRCS) $(QREXEC_AGENT_SRCS))
.PHONY: qrexec

# Installation, of what a qube and what dom0 needs. Services look for their programs in QUBES_LIB, the policy and services are
# in /etc wherever the rest goes.
QUBES_LIB := /usr/lib/qubes
UNITDIR ?= /usr/lib/systemd/system
QREXEC_VM_BINS := qrexec-client-vm qvm-copy qvm-open-in-vm qvm-connect-tcp
QREXEC_DOM0_BINS := qrexec-client qrexec-policy qvm-run qvm-copy
QREXEC_VM_PAGES := qrexec-client-vm.1 qvm-copy.1 qvm-run.1 qvm-open-in-vm.1 qvm-connect-tcp.1 qrexec-agent.8 qfile-unpacker.8 vm-exec.8
QREXEC_DOM0_PAGES := qrexec-client.1 qrexec-policy.1 qvm-run.1 qvm-copy.1 qrexec-policy.5 qrexec-daemon.8 qrexec-prompt-tty.8
qrexec_dirs = $(addprefix $(DESTDIR),$(PREFIX)/bin $(PREFIX)/sbin $(QUBES_LIB) $(UNITDIR) /etc/qubes-rpc /etc/qubes/rpc-config \
	$(PREFIX)/share/man/man1 $(PREFIX)/share/man/man5 $(PREFIX)/share/man/man8 $(PREFIX)/share/bash-completion/completions)
# $(1): unit; $(2): pages; $(3): commands that complete
define qrexec_install_shared
	sed 's|@SBINDIR@|$(PREFIX)/sbin|' qrexec/etc/systemd/$(1) > $(DESTDIR)$(UNITDIR)/$(1)
	for p in $(2); do install -m 644 docs/man/$$p $(DESTDIR)$(PREFIX)/share/man/man$${p##*.}/; done
	ln -sfn qvm-copy $(DESTDIR)$(PREFIX)/bin/qvm-copy-to-vm
	ln -sfn qvm-copy $(DESTDIR)$(PREFIX)/bin/qvm-move-to-vm
	for p in qvm-copy-to-vm qvm-move-to-vm $(4); do ln -sfn qvm-copy.1 $(DESTDIR)$(PREFIX)/share/man/man1/$$p.1; done
	install -m 644 qrexec/etc/completion/qvm $(DESTDIR)$(PREFIX)/share/bash-completion/completions/qvm-copy
	for c in qvm-copy-to-vm qvm-move-to-vm $(3); do \
		ln -sfn qvm-copy $(DESTDIR)$(PREFIX)/share/bash-completion/completions/$$c; done
endef

install-qrexec-vm: qrexec
	install -d $(qrexec_dirs) $(DESTDIR)/etc/pam.d
	install -m 644 qrexec/etc/vm/pam.d/qrexec $(DESTDIR)/etc/pam.d/
	install -m 755 $(addprefix $(O)/qrexec/,$(QREXEC_VM_BINS)) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(O)/qrexec/qvm-run $(DESTDIR)$(PREFIX)/bin/qvm-run-vm
	ln -sfn qvm-copy $(DESTDIR)$(PREFIX)/bin/qvm-move
	install -m 755 $(O)/qrexec/qrexec-agent $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(addprefix $(O)/qrexec/,qfile-unpacker vm-exec) qrexec/etc/lib/* $(DESTDIR)$(QUBES_LIB)/
	cp -P qrexec/etc/vm/qubes-rpc/* $(DESTDIR)/etc/qubes-rpc/
	install -m 644 qrexec/etc/vm/rpc-config/* $(DESTDIR)/etc/qubes/rpc-config/
	$(call qrexec_install_shared,qubes-qrexec-agent.service,$(QREXEC_VM_PAGES),qvm-move qvm-run-vm qvm-open-in-vm qvm-connect-tcp qrexec-client-vm,qvm-move)
	ln -sfn qvm-run.1 $(DESTDIR)$(PREFIX)/share/man/man1/qvm-run-vm.1

install-qrexec-dom0: qrexec
	install -d $(qrexec_dirs) $(DESTDIR)/etc/qubes/policy.d
	install -m 755 $(addprefix $(O)/qrexec/,$(QREXEC_DOM0_BINS)) $(DESTDIR)$(PREFIX)/bin/
	install -m 755 $(O)/qrexec/qrexec-daemon $(DESTDIR)$(PREFIX)/sbin/
	install -m 755 $(O)/qrexec/qrexec-prompt-tty $(DESTDIR)$(QUBES_LIB)/
	cp -P qrexec/etc/dom0/qubes-rpc/* $(DESTDIR)/etc/qubes-rpc/
	install -m 644 qrexec/etc/dom0/policy.d/* $(DESTDIR)/etc/qubes/policy.d/
	$(call qrexec_install_shared,qubes-qrexec-daemon@.service,$(QREXEC_DOM0_PAGES),qvm-run qrexec-policy qrexec-client,)

# What a template has. Not both: services of a qube have no place in dom0.
install-qrexec: install-qrexec-vm
.PHONY: install-qrexec install-qrexec-vm install-qrexec-dom0

# bench-qrexec prints measurements and fails when one is over its limit.
$(O)/qrexec/bench-policy: $(O)/qrexec/obj/qrexec/bench/bench_policy.c.o $(O)/qrexec/libqrexec.a
	$(say) LD $@
	$(Q)$(CC) $(QREXEC_LDFLAGS) -o $@ $^
$(O)/qrexec/bench-call: $(O)/qrexec/obj/qrexec/bench/bench_call.c.o $(O)/qrexec/libqrexec.a $(VCHAN_LIB)
	$(say) LD $@
	$(Q)$(CC) $(QREXEC_LDFLAGS) -o $@ $^
bench-qrexec: qrexec $(O)/qrexec/bench-policy $(O)/qrexec/bench-call
	$(Q)$(O)/qrexec/bench-policy
	$(Q)$(PYTHON) bench/qrexec.py $(O)/qrexec
BENCHES += bench-qrexec
.PHONY: bench-qrexec
-include $(patsubst %,$(O)/qrexec/obj/qrexec/bench/%.c.d,bench_policy bench_call)

# What links tests/unit/qrexec_fixture.c runs the programs, built like unit tests: with the sanitizers.
define qrexec_unit_program
$(O)/unit/qrexec/$(subst _,-,$(notdir $(1:.c=))): $(patsubst %,$(O)/unit/obj/%.o,$(call qrexec_own,$(1)) $(QREXEC_SRCS)) $(VCHAN_LIB)
	$$(say) LD $$@
	@mkdir -p $$(@D)
	$$(Q)$$(CC) $$(SANITIZE) -o $$@ $$^ $(call qrexec_libs,$(1))
endef
$(foreach t,$(QREXEC_TOOLS),$(eval $(call qrexec_unit_program,$(t))))
QREXEC_UNIT_PROGRAMS := $(patsubst $(O)/qrexec/%,$(O)/unit/qrexec/%,$(QREXEC_PROGRAMS))
$(O)/unit/obj/tests/unit/qrexec_fixture.c.o: $(QREXEC_UNIT_PROGRAMS)
-include $(patsubst %,$(O)/unit/obj/%.d,$(QREXEC_SRCS) $(QREXEC_TOOLS) $(QREXEC_DAEMON_SRCS) $(QREXEC_AGENT_SRCS))
