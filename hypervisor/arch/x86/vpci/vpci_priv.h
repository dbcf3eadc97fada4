/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Inside of vPCI. Everything here is guarded by the vPCI lock of the domain unless said otherwise. */
#ifndef VPCI_PRIV_H
#define VPCI_PRIV_H

#include <arch/hvm_io.h>
#include <arch/vpci.h>
#include <bulkhead/addr.h>
#include <bulkhead/irq.h>

struct vpci_dev;
struct vpci_reg;

#define VPCI_CONFIG_SIZE 4096 /* of a PCI Express function */
#define VPCI_LEGACY_SIZE 256
#define VPCI_MAX_REGS	 48
#define VPCI_MAX_BARS	 6
#define VPCI_ROM	 VPCI_MAX_BARS /* index of the expansion ROM */
#define VPCI_MAX_CAPS	 48	       /* what fits in 192 bytes: ends a circular list */
#define VPCI_MAX_MSI	 32	       /* messages of one MSI capability */

#define PCI_BAR_FIRST	0x10
#define PCI_BAR_TYPE_64 2

/* Extended capabilities (PCIe Base 5.0, 7.8.6 and 9.3.3). */
#define PCI_EXT_CAP_SRIOV 0x10
#define PCI_EXT_CAP_REBAR 0x15
#define PCI_SRIOV_CONTROL 0x08
#define PCI_SRIOV_ENABLE  0x0001U
#define PCI_SRIOV_MEMORY  0x0008U
#define PCI_SRIOV_COUNT	  0x10
#define PCI_SRIOV_OFFSET  0x14
#define PCI_SRIOV_STRIDE  0x16
#define PCI_SRIOV_DEVICE  0x1a
#define PCI_SRIOV_BAR	  0x24

/*
 * What a domain may see and do. The hardware domain has `raw`: what no handler claims passes through. For all
 * others configuration space is a list of what is allowed, everything else reads zero and drops writes.
 */
struct vpci_policy {
	bool raw;
	bool rom;		/* the expansion ROM is there */
	bool share_pages;	/* BARs smaller than a page may be mapped with their neighbours */
	uint16_t command_write; /* command bits that reach the device */
	unsigned max_msi;	/* messages offered by MSI */
	unsigned max_msix;	/* MSI-X entries that may be in use at once */
	const uint8_t *capabilities; /* ids shown, 0 at the end; unused with raw */
};
extern const struct vpci_policy vpci_policy_hardware, vpci_policy_confined;

/* Rights of each byte of the first 256, made from the policy. */
struct vpci_masks {
	uint8_t read[VPCI_LEGACY_SIZE], write[VPCI_LEGACY_SIZE];
	uint8_t write1[VPCI_LEGACY_SIZE]; /* bits that writing 1 clears: not written back */
};

/* A register (or several bytes) with a handler. Values are of the full register, zero extended. */
struct vpci_reg {
	uint16_t off;
	uint8_t size; /* 1, 2 or 4 */
	uint32_t (*read)(struct vpci_dev *dev, const struct vpci_reg *reg);
	/* 0, or -EAGAIN: the access is to be repeated (vpci_wait() was called). */
	int (*write)(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value);
	uint32_t arg;
};

enum vpci_bar_kind {
	BAR_NONE,
	BAR_IO,
	BAR_MEM32,
	BAR_MEM64,
	BAR_MEM64_HIGH,
	BAR_ROM
};

struct vpci_bar {
	uint8_t kind;
	uint8_t flags; /* low bits of the register */
	bool enabled;  /* ROM: its enable bit; always true for others */
	bool mapped;
	bool refused; /* at its present address */
	bool vetted;  /* host was looked at, or is the firmware's choice */
	uint16_t reg;
	uint64_t size;
	uint64_t host;	/* machine address that the device decodes */
	uint64_t guest; /* what the guest wrote; in effect only while mapped is false */
	/* Range that is mapped (also partly, while a job runs). */
	uint64_t gfn, mfn, pages;
	uint64_t vetted_mfn, vetted_pages; /* last range found to be device memory */
};

/* Work in steps on the p2m: see map.c. */
struct vpci_job {
	bool active, map;
	bool set_command;
	uint8_t move;	  /* an unmapping job: BARs to be mapped at their new address afterwards */
	uint16_t command; /* written when the job is done */
	uint8_t bars;	  /* bit mask of those still to be done */
	bool prepared;	  /* the present BAR was checked … */
	uint64_t pos;	  /* … or: pages of it done */
};

struct vpci_irq {
	struct irq irq;
	struct vpci_dev *dev;
	uint16_t index;
	bool attached;
};

struct vpci_msi {
	uint16_t pos; /* 0: none */
	bool is64, maskable, enabled;
	uint8_t max_log2, log2; /* messages offered and allocated */
	uint16_t data_reg, mask_reg;
	/* The guest's values; address and data are read by the interrupt handler without the lock. */
	uint64_t address;
	uint32_t data;
	uint32_t mask;
	unsigned attached;
	struct msi_msg hw;     /* the device's address and data, while attached */
	struct vpci_irq *irqs; /* 1 << max_log2 */
};

struct vpci_msix_entry {
	struct vpci_irq irq;
	struct msi_msg hw;
	uint64_t address; /* the guest's; see struct vpci_msi */
	uint32_t data;
	bool masked;
};

struct vpci_msix_area {
	uint8_t bar;
	uint32_t offset, size;
};

struct vpci_msix {
	uint16_t pos; /* 0: none */
	bool enabled, function_mask;
	unsigned count;
	unsigned attached;
	struct vpci_msix_area table, pba;
	volatile uint8_t *hw; /* the real table, while memory decoding is on */
	struct vpci_msix_entry *entries;
};

struct vpci_dev {
	struct list link; /* vpci->devices */
	struct vpci *vpci;
	struct pci_dev *pci;
	sbdf_t guest; /* where the guest sees it */
	bool is_vf;
	bool decode;	  /* memory decoding as the guest set it */
	uint16_t command; /* as the guest wrote it; only of confined devices */
	uint8_t int_line;
	uint8_t header_type;
	unsigned bar_count;
	struct vpci_bar bars[VPCI_MAX_BARS + 1];
	uint64_t vf_size[VPCI_MAX_BARS]; /* of the BARs in the SR-IOV capability; 0: none */
	uint16_t sriov;			 /* that capability; 0: none */
	struct vpci_job job;
	struct vpci_msi msi;
	struct vpci_msix msix;
	struct vpci_masks *masks; /* NULL: raw */
	unsigned reg_count;
	struct vpci_reg regs[VPCI_MAX_REGS];
};

/* A page whose accesses are emulated because (a part of) an MSI-X table or PBA is in it. */
struct vpci_trap {
	struct list link;
	struct vpci *vpci;
	struct hvm_io_region region;
	uint64_t gfn, mfn;
	unsigned users; /* 0: free for reuse; the memory stays until the domain ends */
	volatile uint8_t *map;
};

struct vpci_ecam {
	struct list link;
	struct vpci *vpci;
	unsigned seg, first_bus, last_bus;
	struct hvm_io_region region;
};

struct vpci {
	struct domain *domain;
	const struct vpci_policy *policy;
	spinlock_t lock;
	uint32_t cf8;
	struct hvm_io_region address, data; /* the two port registers */
	struct list devices, traps, ecams;
};

/* Configuration accesses by the guest's address; any size and alignment within 4096 bytes. 0 or -EAGAIN. */
int vpci_config_read(struct vpci *p, sbdf_t s, unsigned reg, unsigned size, uint64_t *ret_value);
int vpci_config_write(struct vpci *p, sbdf_t s, unsigned reg, unsigned size, uint64_t value);

/* vpci.c */
int vpci_reg_add(struct vpci_dev *dev, unsigned off, unsigned size,
		 uint32_t (*read)(struct vpci_dev *, const struct vpci_reg *),
		 int (*write)(struct vpci_dev *, const struct vpci_reg *, uint32_t), uint32_t arg);
int vpci_reg_drop(struct vpci_dev *dev, const struct vpci_reg *reg, uint32_t value);
struct vpci_dev *vpci_find(struct vpci *p, sbdf_t guest);
uint32_t vpci_hw_read(const struct vpci_dev *dev, unsigned reg, unsigned size);
void vpci_hw_write(const struct vpci_dev *dev, unsigned reg, unsigned size, uint32_t value);

/* access.c: ports and ECAM */
int vpci_ports_init(struct vpci *p);
void vpci_ports_finish(struct vpci *p);
void vpci_ecam_finish(struct vpci *p);

/* header.c */
int vpci_header_init(struct vpci_dev *dev);
int vpci_header_init_vf(struct vpci_dev *dev, const struct vpci_dev *physfn);
struct vpci_dev *vpci_physfn(sbdf_t s);
/* The BAR is mapped nowhere: the device gets the address that the guest wrote. */
void vpci_bar_moved(struct vpci_dev *dev, unsigned bar);

/* bars.c: finding out about BARs */
void vpci_bars_probe(struct vpci_dev *dev);
void vpci_bar_size_probe(struct vpci_dev *dev, unsigned idx);
uint64_t vpci_size_of_mask(uint64_t mask);
unsigned vpci_find_ext_cap(const struct vpci_dev *dev, unsigned id);

/* map.c */
/* Whether a device may answer there, as far as the machine goes. */
bool vpci_may_be_at(uint64_t start, uint64_t size);
void vpci_refuse(struct vpci_dev *dev, unsigned idx, const char *why);
void vpci_job_start(struct vpci_dev *dev, bool map, unsigned bars);
/* As vpci_job_start; the command register gets this value at the end. */
void vpci_job_start_command(struct vpci_dev *dev, bool map, unsigned bars, uint16_t command);
/* Takes a BAR from where it is to where the guest wants it, while it goes on decoding. */
void vpci_job_start_move(struct vpci_dev *dev, unsigned bar);
bool vpci_job_step(struct vpci_dev *dev); /* true: done */
/* Lets the current vCPU finish the device's job before its guest goes on. */
void vpci_wait(struct vpci_dev *dev);
unsigned vpci_memory_bars(const struct vpci_dev *dev);
/* Unmaps a range of device memory at once; what else is there stays. */
void vpci_clear(struct domain *d, uint64_t gfn, uint64_t pages);

/* trap.c */
int vpci_trap_get(struct vpci *p, uint64_t gfn, uint64_t mfn);
void vpci_trap_put(struct vpci *p, uint64_t gfn);
bool vpci_trapped(struct vpci *p, uint64_t gfn);
/* First trapped page at or after gfn, below end; end if there is none. */
uint64_t vpci_next_trap(struct vpci *p, uint64_t gfn, uint64_t end);
void vpci_traps_finish(struct vpci *p);

/* msi.c */
int vpci_msi_init(struct vpci_dev *dev);
void vpci_msi_finish(struct vpci_dev *dev);

/* msix.c */
int vpci_msix_init(struct vpci_dev *dev);
/* Two steps: interrupts first; the entries when the BARs are gone. */
void vpci_msix_finish(struct vpci_dev *dev);
void vpci_msix_free(struct vpci_dev *dev);
/* The BAR is about to appear, or has gone: traps its pages, (un)maps the table. 0 or -errno. */
int vpci_msix_bar_up(struct vpci_dev *dev, unsigned bar);
void vpci_msix_bar_down(struct vpci_dev *dev, unsigned bar);
/* The device answers to memory accesses from now on. */
void vpci_msix_decode_on(struct vpci_dev *dev);
/* Accesses to a trapped page; false: not a table of this device. */
bool vpci_msix_read(struct vpci_dev *dev, uint64_t gpa, unsigned size, uint64_t *ret_value);
bool vpci_msix_write(struct vpci_dev *dev, uint64_t gpa, unsigned size, uint64_t value);

/* message.c */
void vpci_deliver(struct vpci_dev *dev, uint64_t address, uint32_t data);
/* A CPU near the vCPU that the message goes to. */
unsigned vpci_target_cpu(struct vpci_dev *dev, uint64_t address);
int vpci_irq_attach(struct vpci_irq *vi, struct vpci_dev *dev, unsigned index,
		    void (*handler)(struct irq *irq), unsigned cpu, struct msi_msg *ret_msg);
void vpci_irq_detach(struct vpci_irq *vi);

/* policy.c */
int vpci_policy_apply(struct vpci_dev *dev);
bool vpci_policy_shows(const struct vpci_policy *p, uint8_t cap);

#endif
