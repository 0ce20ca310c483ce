#include "SpatialMean.h"

#include <algorithm>
#include <openvino/core/graph_util.hpp>
#include <openvino/core/rt_info.hpp>
#include <openvino/op/avg_pool.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/op/reduce_mean.hpp>
#include <openvino/op/reshape.hpp>

namespace tessera {
namespace {

/// Whether `mean` averages a static floating-point image over exactly its two spatial axes.
bool is_spatial(const std::shared_ptr<ov::op::v1::ReduceMean> &mean) {
    const auto &shape = mean->get_input_partial_shape(0);
    if (!shape.is_static() || shape.size() != 4 || !mean->get_input_element_type(0).is_real()
        || !mean->reduction_axes_constant()) {
        return false;
    }
    return mean->get_reduction_axes() == ov::AxisSet{2, 3};
}

}  // namespace

void replace_spatial_means(const std::shared_ptr<ov::Model> &model) {
    for (const auto &node : model->get_ordered_ops()) {
        const auto mean = std::dynamic_pointer_cast<ov::op::v1::ReduceMean>(node);
        if (!mean || !is_spatial(mean)) {
            continue;
        }
        const auto image = mean->get_input_shape(0);
        std::shared_ptr<ov::Node> result = std::make_shared<ov::op::v1::AvgPool>(
            mean->input_value(0), ov::Strides{1, 1}, ov::Shape{0, 0}, ov::Shape{0, 0},
            ov::Shape{image[2], image[3]}, true, ov::op::RoundingType::FLOOR,
            ov::op::PadType::EXPLICIT);
        ov::copy_runtime_info(mean, result);
        if (!mean->get_keep_dims()) {
            result->set_friendly_name(mean->get_friendly_name() + "/pool");
            const auto flat = ov::op::v0::Constant::create(
                ov::element::i64, ov::Shape{2}, std::vector<int64_t>{
                    static_cast<int64_t>(image[0]), static_cast<int64_t>(image[1])});
            flat->set_friendly_name(mean->get_friendly_name() + "/shape");
            result = std::make_shared<ov::op::v1::Reshape>(result, flat, false);
            ov::copy_runtime_info(mean, result);
        }
        result->set_friendly_name(mean->get_friendly_name());
        ov::replace_node(mean, result);
    }
}

}  // namespace tessera
