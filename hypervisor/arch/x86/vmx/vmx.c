/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VMX behind the vendor interface: such CPUs are recognised and refused, as there is no more of it than this. */
#include <arch/cpufeature.h>
#include <arch/vendor.h>
#include <bulkhead/errno.h>

static int vmx_probe(const char **ret_why)
{
	if (!cpu_has(CPU_VMX))
		return -ENODEV;
	*ret_why = "this CPU virtualises by VMX, which is not supported yet; SVM is needed";
	return -EOPNOTSUPP;
}

const struct vendor_ops vmx_ops = {
	.name = "VMX",
	.probe = vmx_probe,
};
