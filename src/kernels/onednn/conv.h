/* Convolutions through oneDNN: one dense or depthwise primitive, run section by section. */
#ifndef MBT_KERNELS_ONEDNN_CONV_H
#define MBT_KERNELS_ONEDNN_CONV_H

#include "mbt/kernel.h"

extern const mbt_conv_ops mbt_onednn_conv;

bool mbt_onednn_conv_supports(mbt_isa isa, const void *desc);
bool mbt_onednn_conv_bf16_supports(mbt_isa isa, const void *desc); /* desc.bf16 */

#endif
