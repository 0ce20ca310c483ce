#include "OpenVINOShim.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <openvino/frontend/manager.hpp>
#include <openvino/op/constant.hpp>
#include <openvino/core/preprocess/pre_post_process.hpp>
#include <openvino/openvino.hpp>
#include <openvino/pass/constant_folding.hpp>
#include <openvino/pass/manager.hpp>
#include <openvino/pass/serialize.hpp>
#include <set>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

#include "SpatialMean.h"

namespace ov::pass {

/// OpenVINO's own clean-up of a graph, as its model optimiser runs it. The library exports the
/// class but the header that declares it is not published with the library.
class OPENVINO_API MOCTransformations : public ModelPass {
public:
    MOCTransformations(bool use_shapes, bool low_precision_enabled)
        : m_use_shapes(use_shapes), m_low_precision_enabled(low_precision_enabled) {}
    bool run_on_model(const std::shared_ptr<ov::Model> &model) override;

private:
    bool m_use_shapes;
    bool m_low_precision_enabled;
};

}  // namespace ov::pass

namespace {

namespace fs = std::filesystem;
using Ports = std::vector<ov::Output<ov::Node>>;

/// Elements of one tensor that an import accepts: 2^40, far above any model that a mesh of small
/// devices can hold, and low enough that byte counts cannot overflow 64 bits.
constexpr int64_t elements_max = int64_t{1} << 40;
/// Bytes of an error text: enough for a whole message of OpenVINO, short enough for a terminal.
constexpr size_t error_bytes_max = 2000;

/// What went wrong in our own words, as opposed to OpenVINO's exceptions.
class ImportError : public std::runtime_error {
public:
    using std::runtime_error::runtime_error;
};

/// How a file is read.
struct Kind {
    /// The name of OpenVINO's front end.
    const char *framework;
    /// What a person calls it.
    const char *title;
};

/// Picks the front end by the ending of the path, so that no front end sees a foreign file.
Kind kind_of(const fs::path &path) {
    if (fs::is_directory(path)) {
        if (fs::exists(path / "saved_model.pb")) {
            return {"tf", "TensorFlow SavedModel"};
        }
        throw ImportError(
            "'" + path.string() + "' is a folder without a saved_model.pb. "
            "Name a model file, or a TensorFlow SavedModel folder.");
    }
    auto ending = path.extension().string();
    std::transform(ending.begin(), ending.end(), ending.begin(), [](unsigned char letter) {
        return static_cast<char>(std::tolower(letter));
    });
    static const std::map<std::string, Kind> kinds = {
        {".onnx", {"onnx", "ONNX"}},         {".xml", {"ir", "OpenVINO IR"}},
        {".tflite", {"tflite", "TFLite"}},   {".pdmodel", {"paddle", "Paddle"}},
        {".json", {"paddle", "Paddle"}},     {".pb", {"tf", "TensorFlow"}},
    };
    const auto found = kinds.find(ending);
    if (found == kinds.end()) {
        throw ImportError(
            "The ending '" + ending + "' of '" + path.string() + "' names no known kind of model. "
            "Known are .onnx, .xml (OpenVINO IR), .tflite, .pdmodel and .json (Paddle), .pb and "
            "SavedModel folders (TensorFlow).");
    }
    return found->second;
}

std::shared_ptr<ov::Model> read_model(const fs::path &path) {
    if (!fs::exists(path)) {
        throw ImportError("There is no file '" + path.string() + "'. Check the path.");
    }
    const auto kind = kind_of(path);
    if (!fs::is_directory(path) && !std::ifstream(path).good()) {
        throw ImportError("'" + path.string() + "' cannot be opened. Check who may read it.");
    }
    if (std::string(kind.framework) == "ir") {
        std::ifstream file(path, std::ios::binary);
        char start[512] = {};
        file.read(start, sizeof(start) - 1);
        if (std::string(start).find("<net") == std::string::npos) {
            throw ImportError(
                "'" + path.string() + "' ends in .xml but holds no OpenVINO IR: "
                "there is no <net> element at its start.");
        }
        return ov::Core().read_model(path.string());
    }
    ov::frontend::FrontEndManager manager;
    const auto frontend = manager.load_by_framework(kind.framework);
    if (!frontend || !frontend->supported(path.string())) {
        throw ImportError(
            "'" + path.string() + "' is not a readable " + kind.title + " model: the file is "
            "damaged, cut off or of another kind than its ending says.");
    }
    const auto loaded = frontend->load(path.string());
    if (!loaded) {
        throw ImportError("'" + path.string() + "' is not a readable " + kind.title + " model.");
    }
    return frontend->convert(loaded);
}

/// All names by which a person may call an input.
std::set<std::string> names_of(const ov::Output<ov::Node> &port) {
    std::set<std::string> names(port.get_names().begin(), port.get_names().end());
    names.insert(port.get_node()->get_friendly_name());
    return names;
}

/// The name to show for a port: the first tensor name, else the operator's.
std::string title_of(const ov::Output<ov::Node> &port) {
    const auto &names = port.get_names();
    return names.empty() ? port.get_node()->get_friendly_name()
                         : *std::min_element(names.begin(), names.end());
}

template <typename Value>
std::string text_of(const Value &value) {
    std::ostringstream stream;
    stream << value;
    return stream.str();
}

/// The shape that the caller asked for, checked.
ov::PartialShape given_shape(const tessera_shape &shape) {
    std::vector<ov::Dimension> dimensions;
    int64_t elements = 1;
    for (size_t axis = 0; axis < shape.rank; ++axis) {
        const auto extent = shape.dimensions[axis];
        if (extent < 1 || extent > elements_max / elements) {
            throw ImportError(
                "The given shape of input '" + std::string(shape.name) + "' has extent "
                + std::to_string(extent) + " at axis " + std::to_string(axis)
                + ". Extents must be at least 1 and their product at most 2^40.");
        }
        elements *= extent;
        dimensions.emplace_back(extent);
    }
    return ov::PartialShape(dimensions);
}

/// The shape that an input gets when the caller says nothing.
ov::PartialShape default_shape(const ov::Output<ov::Node> &input) {
    auto shape = input.get_partial_shape();
    if (shape.rank().is_static() && shape.size() > 0 && shape[0].is_dynamic()
        && shape[0].compatible(1)) {
        shape[0] = 1;
    }
    if (shape.is_dynamic()) {
        const auto title = title_of(input);
        throw ImportError(
            "Input '" + title + "' has the dynamic shape " + text_of(input.get_partial_shape())
            + ", and only a dynamic first axis has a default (1). Give its shape, "
            "such as --shape " + title + "=1,3,224,224.");
    }
    return shape;
}

/// The one entry of `shapes` that names `input`; null if there is none.
const tessera_shape *shape_for(
    const ov::Output<ov::Node> &input, const tessera_shape *shapes, size_t shape_count) {
    const auto names = names_of(input);
    const tessera_shape *given = nullptr;
    for (size_t index = 0; index < shape_count; ++index) {
        if (names.count(shapes[index].name) == 0) {
            continue;
        }
        if (given) {
            throw ImportError("Input '" + title_of(input) + "' was given two shapes. Give one.");
        }
        given = &shapes[index];
    }
    return given;
}

/// Refuses a shape for an input that the model does not have.
void check_names(const Ports &inputs, const tessera_shape *shapes, size_t shape_count) {
    std::set<std::string> known;
    std::string titles;
    for (const auto &input : inputs) {
        known.merge(names_of(input));
        titles += (titles.empty() ? "'" : ", '") + title_of(input) + "'";
    }
    for (size_t index = 0; index < shape_count; ++index) {
        if (known.count(shapes[index].name) == 0) {
            throw ImportError(
                "The model has no input '" + std::string(shapes[index].name) + "' to give a shape "
                "to. Its inputs are: " + titles + ".");
        }
    }
}

/// Gives every input a static shape.
void fix_shapes(
    const std::shared_ptr<ov::Model> &model, const tessera_shape *shapes, size_t shape_count) {
    check_names(model->inputs(), shapes, shape_count);
    std::map<ov::Output<ov::Node>, ov::PartialShape> wanted;
    for (const auto &input : model->inputs()) {
        const auto given = shape_for(input, shapes, shape_count);
        const auto shape = given ? given_shape(*given) : default_shape(input);
        if (!input.get_partial_shape().compatible(shape)) {
            throw ImportError(
                "Input '" + title_of(input) + "' cannot have the shape " + text_of(shape)
                + ": the model allows " + text_of(input.get_partial_shape()) + ".");
        }
        wanted[input] = shape;
    }
    model->reshape(wanted);
}

/// Refuses what the mesh cannot plan: sizes that only the values tell, and states between runs.
void check_static(const std::shared_ptr<ov::Model> &model) {
    for (const auto &node : model->get_ordered_ops()) {
        for (const auto &output : node->outputs()) {
            const auto &shape = output.get_partial_shape();
            if (shape.is_dynamic()) {
                throw ImportError(
                    "Operator '" + node->get_friendly_name() + "' (" + node->get_type_name()
                    + ") makes a tensor whose shape " + text_of(shape) + " depends on the values "
                    "at run time. Tessera needs static shapes: cut the model before it.");
            }
            if (ov::shape_size(shape.to_shape()) == 0) {
                throw ImportError(
                    "Operator '" + node->get_friendly_name() + "' (" + node->get_type_name()
                    + ") makes an empty tensor of shape " + text_of(shape)
                    + ". Check the given shapes.");
            }
        }
    }
    if (!model->get_variables().empty()) {
        throw ImportError(
            "The model keeps a state between requests (variable '"
            + model->get_variables().front()->get_info().variable_id
            + "'). Tessera serves models whose answer depends on the request alone.");
    }
    if (model->inputs().empty() || model->outputs().empty()) {
        throw ImportError(
            "The model has no input or no output, so that there is nothing to serve. "
            "Check that the file is whole.");
    }
}

/// Refuses element types that the mesh has no word for.
void check_types(const Ports &ports, const char *direction) {
    static const std::set<std::string> known = {
        "boolean", "i8", "i16", "i32", "i64", "u8",
        "u16", "u32", "u64", "f16", "bf16", "f32", "f64"};
    for (const auto &port : ports) {
        const auto type = port.get_element_type().get_type_name();
        if (known.count(type) == 0) {
            throw ImportError(
                std::string(direction) + " '" + title_of(port) + "' has elements of type " + type
                + ", which Tessera cannot carry. Convert it inside the model to a number type.");
        }
    }
}

/// Puts what is done to images in front of the only input, which then takes unsigned bytes.
void build_in(
    const std::shared_ptr<ov::Model> &model, const tessera_preprocessing &preprocessing) {
    const auto count = preprocessing.channel_count;
    if (model->inputs().size() != 1) {
        throw ImportError(
            "The model has " + std::to_string(model->inputs().size()) + " inputs, and an image "
            "fills one: its preprocessing cannot become a part of it.");
    }
    const auto port = model->input(0);
    const auto shape = port.get_shape();
    const size_t axis = preprocessing.is_channels_last ? 3 : 1;
    if (port.get_element_type() != ov::element::f32 || shape.size() != 4 || shape[axis] != count) {
        throw ImportError(
            "Input '" + title_of(port) + "' has elements of type "
            + port.get_element_type().get_type_name() + " and the shape " + text_of(shape)
            + ". Preprocessing goes in front of 32-bit floats with " + std::to_string(count)
            + " channels at axis " + std::to_string(axis) + " of 4.");
    }
    const std::vector<float> mean(preprocessing.mean, preprocessing.mean + count);
    const std::vector<float> scale(preprocessing.scale, preprocessing.scale + count);
    const auto is_all = [](const std::vector<float> &values, float wanted) {
        return std::all_of(
            values.begin(), values.end(), [wanted](float value) { return value == wanted; });
    };
    const ov::Layout layout(preprocessing.is_channels_last ? "NHWC" : "NCHW");
    ov::preprocess::PrePostProcessor processor(model);
    auto &input = processor.input();
    input.tensor().set_element_type(ov::element::u8).set_layout(layout);
    input.model().set_layout(layout);
    auto &steps = input.preprocess().convert_element_type(ov::element::f32);
    if (!is_all(mean, 0)) {
        steps.mean(mean);
    }
    if (!is_all(scale, 1)) {
        steps.scale(scale);
    }
    processor.build();
}

/// Gives `node` a name that is not in `taken` yet, its own if possible, and puts it there.
void claim_name(const std::shared_ptr<ov::Node> &node, std::set<std::string> &taken) {
    const auto &own = node->get_friendly_name();
    const std::string base = own.empty() ? node->get_type_name() : own;
    auto name = base;
    for (size_t count = 2; !taken.insert(name).second; ++count) {
        name = base + "#" + std::to_string(count);
    }
    node->set_friendly_name(name);
}

/// Gives a tensor that enters or leaves the model one name: `known` if it is among those that the
/// tensor has (the clean-up merges the names of tensors that it merges), else any if it has none.
///
/// A tensor that both enters and leaves, or leaves twice, keeps all its names.
void name_tensor(ov::Output<ov::Node> port, const std::string &known) {
    const auto names = port.get_names();
    if (names.empty()) {
        const auto node = port.get_node();
        const auto suffix =
            node->get_output_size() == 1 ? std::string() : "." + std::to_string(port.get_index());
        port.set_names({node->get_friendly_name() + suffix});
        return;
    }
    size_t results = 0;
    for (const auto &reader : port.get_target_inputs()) {
        results += std::string(reader.get_node()->get_type_name()) == "Result" ? 1 : 0;
    }
    const auto is_parameter = std::string(port.get_node()->get_type_name()) == "Parameter";
    if (names.size() > 1 && names.count(known) > 0 && results + (is_parameter ? 1 : 0) == 1) {
        port.set_names({known});
    }
}

/// Gives every operator a unique name and every input and output at least one tensor name.
void name_everything(const std::shared_ptr<ov::Model> &model) {
    // Inputs and what makes the outputs come first, because people know these names.
    ov::NodeVector nodes;
    for (const auto &parameter : model->get_parameters()) {
        nodes.push_back(parameter);
    }
    for (const auto &result : model->get_results()) {
        nodes.push_back(result->input_value(0).get_node_shared_ptr());
    }
    for (const auto &node : model->get_ordered_ops()) {
        nodes.push_back(node);
    }
    std::set<std::string> taken;
    std::set<ov::Node *> done;
    for (const auto &node : nodes) {
        if (done.insert(node.get()).second) {
            claim_name(node, taken);
        }
    }
    for (const auto &parameter : model->get_parameters()) {
        name_tensor(parameter->output(0), parameter->get_friendly_name());
    }
    for (const auto &result : model->get_results()) {
        const auto &name = result->get_friendly_name();
        name_tensor(result->input_value(0), name.substr(0, name.rfind("/sink_port_")));
    }
}

/// OpenVINO's text without the lines that only name places in its source code.
std::string readable(const std::string &text) {
    std::istringstream lines(text);
    std::string result;
    for (std::string line; std::getline(lines, line);) {
        const auto is_place = line.rfind("Exception from src", 0) == 0
            || (line.rfind("Check '", 0) == 0 && line.find("' failed at src/") != line.npos);
        if (!is_place && !line.empty()) {
            result += (result.empty() ? "" : " ") + line;
        }
    }
    return (result.empty() ? text : result).substr(0, error_bytes_max);
}

/// Removes a file that a failed import has left half written; anything else than a file stays.
void discard(const fs::path &path) {
    std::error_code ignored;  // The file is useless anyway; a failed removal changes nothing.
    if (fs::is_regular_file(path, ignored)) {
        fs::remove(path, ignored);
    }
}

/// Writes both files and reads them back, because a full disk goes unnoticed by the writer.
void write_model(
    const std::shared_ptr<ov::Model> &model, const std::string &xml, const std::string &bin) {
    try {
        ov::serialize(model, xml, bin);
        size_t least = 0;
        for (const auto &node : model->get_ordered_ops()) {
            if (const auto constant = std::dynamic_pointer_cast<ov::op::v0::Constant>(node)) {
                least = std::max(least, constant->get_byte_size());
            }
        }
        if (fs::file_size(bin) < least) {
            throw ImportError("The file of constants is shorter than the largest constant.");
        }
        ov::Core().read_model(xml, bin);
    } catch (const std::exception &problem) {
        discard(xml);
        discard(bin);
        throw ImportError(
            "The imported model could not be written to '" + xml + "' and '" + bin
            + "'. Check that the folder exists, is writable and has room. "
            + readable(problem.what()));
    }
}

void import_model(
    const fs::path &path, const tessera_shape *shapes, size_t shape_count,
    const tessera_preprocessing *preprocessing, const std::string &xml, const std::string &bin) {
    const auto model = read_model(path);
    check_types(model->inputs(), "Input");
    fix_shapes(model, shapes, shape_count);
    ov::pass::Manager manager;
    manager.register_pass<ov::pass::MOCTransformations>(true, false);
    manager.register_pass<ov::pass::ConstantFolding>();
    manager.run_passes(model);
    check_static(model);
    check_types(model->outputs(), "Output");
    tessera::replace_spatial_means(model);
    if (preprocessing) {
        build_in(model, *preprocessing);
    }
    name_everything(model);
    model->validate_nodes_and_infer_types();
    write_model(model, xml, bin);
}

}  // namespace

bool tessera_import_model(
    const char *path, const tessera_shape *shapes, size_t shape_count,
    const tessera_preprocessing *preprocessing, const char *xml_path, const char *bin_path,
    char **error) {
    std::string problem;
    try {
        import_model(path, shapes, shape_count, preprocessing, xml_path, bin_path);
        return true;
    } catch (const ImportError &failure) {
        problem = failure.what();
    } catch (const std::bad_alloc &) {
        problem = "There is not enough memory to import the model. Use a machine with more.";
    } catch (const std::exception &failure) {
        problem = "OpenVINO cannot import '" + std::string(path) + "': " + readable(failure.what());
    } catch (...) {
        problem = "OpenVINO cannot import '" + std::string(path) + "' and gives no reason.";
    }
    *error = strdup(problem.c_str());
    return false;
}

void tessera_free_text(char *text) { std::free(text); }
