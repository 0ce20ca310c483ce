#pragma once

#include <memory>
#include <openvino/core/model.hpp>

namespace tessera {

/// Replaces each mean over the two image axes of a rank-4 tensor by poolings: the mean of each row,
/// then the mean of these.
///
/// The engine's kernel for the mean adds in an order that depends on the memory layout that it is
/// fed, hence on the operators around it; the one for pooling always adds in the same order. So a
/// cut model gives the bits of the whole one. And the means of rows are the partial sums of a model
/// that is split by rows: each tile makes those of its rows, and whoever needs the mean of the image
/// adds up the same few numbers in the same order, whatever the tiles.
void replace_spatial_means(const std::shared_ptr<ov::Model> &model);

}  // namespace tessera
