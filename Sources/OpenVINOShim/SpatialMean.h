#pragma once

#include <memory>
#include <openvino/core/model.hpp>

namespace tessera {

/// Replaces each mean over the two image axes of a rank-4 tensor by a pooling over the whole image.
///
/// The engine's kernel for the mean adds in an order that depends on the memory layout that it is
/// fed, hence on the operators around it; the one for pooling always adds in the same order. So a
/// cut model gives the bits of the whole one.
void replace_spatial_means(const std::shared_ptr<ov::Model> &model);

}  // namespace tessera
