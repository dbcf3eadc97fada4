/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Machine checks (SDM vol. 3B chapter 16; APM vol. 2 chapter 9). One that cannot be corrected ends the machine: memory or a
 * cache is wrong, of whomever. With CR4.MCE clear the CPU would shut down instead, and the machine start anew without a word.
 */
#include <arch/cpu.h>
#include <arch/cpufeature.h>
#include <arch/machine_check.h>
#include <bulkhead/cpu.h>
#include <bulkhead/log.h>
#include <bulkhead/string.h>

#define MSR_MCG_CAP    0x179
#define MSR_MCG_STATUS 0x17a
#define MSR_MCG_CTL    0x17b
#define MSR_CTL(n)     (0x400 + 4 * (n))
#define MSR_STATUS(n)  (0x401 + 4 * (n))
#define MSR_ADDR(n)    (0x402 + 4 * (n))

#define CAP_BANKS    0xff
#define CAP_CTL	     BIT(8)
#define STATUS_VALID BIT(63)
#define STATUS_UC    BIT(61) /* not corrected */
#define STATUS_ADDR  BIT(58)

/* Beyond these the MSRs have other numbers (SDM vol. 4 table 2-2), and no CPU has as many. */
#define BANKS_MAX 32U

/* Misses of the graphics aperture, which are no errors (BKDG of family 10h, MSR0000_0410). */
#define GART_FAMILY 0x10
#define GART_BANK   4
#define GART_MASK   BIT(10)

static uint64_t read(uint32_t msr)
{
	uint64_t value = 0;

	return rdmsr_safe(msr, &value) ? 0 : value;
}

static unsigned banks(void)
{
	return MIN((unsigned)(read(MSR_MCG_CAP) & CAP_BANKS), BANKS_MAX);
}

void machine_check_prepare(void)
{
	unsigned n = cpu_has(CPU_MCE) ? banks() : 0;

	if (n && (read(MSR_MCG_CAP) & CAP_CTL))
		(void)wrmsr_safe(MSR_MCG_CTL, ~0UL);
	for (unsigned i = 0; i < n; i++) {
		uint64_t status = read(MSR_STATUS(i)), what = ~0UL;

		if (cpu_info.family == GART_FAMILY && i == GART_BANK)
			what &= ~GART_MASK;
		if (status & STATUS_VALID)
			log_warn(
				"machine check before the boot: CPU %u bank %u status %016lx address %016lx\n",
				cpu_id(), i, status, read(MSR_ADDR(i)));
		(void)wrmsr_safe(MSR_CTL(i), what);
		(void)wrmsr_safe(MSR_STATUS(i), 0);
	}
}

void machine_check_describe(char text[MACHINE_CHECK_TEXT])
{
	uint64_t status = 0, found = 0;
	unsigned n = banks(), bank = 0;

	/* The first error that was not corrected; others may have come before it, or because of it. */
	for (unsigned i = 0; i < n && !(found & STATUS_UC); i++) {
		status = read(MSR_STATUS(i));
		if ((status & STATUS_VALID) && (!found || (status & STATUS_UC))) {
			found = status;
			bank = i;
		}
	}
	if (!found)
		snprintf(text, MACHINE_CHECK_TEXT, "no bank has an error, MCG_STATUS %lx",
			 read(MSR_MCG_STATUS));
	else if (found & STATUS_ADDR)
		snprintf(text, MACHINE_CHECK_TEXT,
			 "bank %u, status %016lx, address %016lx, MCG_STATUS %lx", bank, found,
			 read(MSR_ADDR(bank)), read(MSR_MCG_STATUS));
	else
		snprintf(text, MACHINE_CHECK_TEXT, "bank %u, status %016lx, MCG_STATUS %lx", bank,
			 found, read(MSR_MCG_STATUS));
}
