/* SPDX-License-Identifier: GPL-2.0-or-later */
/* A vchan whose peer is the fuzzer's input: what it has sent is there at once, then it is gone. */
#ifndef FAKE_VCHAN_H
#define FAKE_VCHAN_H

#include "../../vchan/libvchan.h"

/* `step`: how much is ready at a time. What is written disappears; *ret_written counts it. */
libvchan_t *fake_vchan_open(const uint8_t *data, size_t size, size_t step);
size_t fake_vchan_written(const libvchan_t *ctrl);

#endif
