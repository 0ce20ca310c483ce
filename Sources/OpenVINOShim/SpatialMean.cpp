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

/// Averages windows of `rows` by `columns` that lie side by side.
ov::Output<ov::Node> averages(const ov::Output<ov::Node> &image, size_t rows, size_t columns) {
    return std::make_shared<ov::op::v1::AvgPool>(
        image, ov::Strides{1, 1}, ov::Shape{0, 0}, ov::Shape{0, 0}, ov::Shape{rows, columns}, true,
        ov::op::RoundingType::FLOOR, ov::op::PadType::EXPLICIT);
}

}  // namespace

void replace_spatial_means(const std::shared_ptr<ov::Model> &model) {
    for (const auto &node : model->get_ordered_ops()) {
        const auto mean = std::dynamic_pointer_cast<ov::op::v1::ReduceMean>(node);
        if (!mean || !is_spatial(mean)) {
            continue;
        }
        const auto image = mean->get_input_shape(0);
        auto value = mean->input_value(0);
        const bool has_two_axes = image[2] > 1 && image[3] > 1;
        if (has_two_axes) {
            value = averages(value, 1, image[3]);
            value.get_node()->set_friendly_name(mean->get_friendly_name() + "/rows");
            ov::copy_runtime_info(mean, value.get_node_shared_ptr());
        }
        auto result =
            averages(value, image[2], has_two_axes ? 1 : image[3]).get_node_shared_ptr();
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
