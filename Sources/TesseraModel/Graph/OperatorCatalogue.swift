/// The operators that the mesh runs: OpenVINO's operator sets 1 to 16 without those that carry a
/// body, keep a state, draw random numbers or work on strings.
///
/// The list is an allow-list: whatever a graph says, the engine only ever sees operators and
/// attributes named here. A line is the type as IR spells it, the operator sets that define a
/// version of it, and the attributes of all versions.
enum OperatorCatalogue {
    /// What a graph may say of one operator type.
    struct Entry {
        /// The operator sets that define a version.
        var opsets: [Int]
        /// The attributes of all versions.
        var attributes: [String]
    }

    /// The entry of an operator type; nil if the mesh does not run it.
    static func entry(_ type: String) -> Entry? { entries[type] }

    /// Why an operator type is not in the list, in words for a person.
    static func refusal(_ type: String) -> String {
        switch type {
        case "ReadValue", "Assign":
            "it keeps a state between requests, and any node may answer the next one"
        case "If", "Loop", "TensorIterator":
            "it carries a body graph, which cannot be cut yet"
        case "RandomUniform", "Multinomial":
            "it draws random numbers, so that two nodes would give two answers"
        case "StringTensorPack", "StringTensorUnpack":
            "it works on strings, which the mesh does not carry"
        default:
            "it is not in OpenVINO's operator sets 1 to 16"
        }
    }

    private static let entries: [String: Entry] = {
        var result: [String: Entry] = [:]
        for line in table.split(separator: "\n") {
            let words = line.split(separator: " ").map(String.init)
            result[words[0]] = Entry(
                opsets: words[1].split(separator: ",").compactMap { Int($0) },
                attributes: Array(words.dropFirst(2)))
        }
        return result
    }()

    /// Made from the operators' own attribute visitors in OpenVINO 2026.4.
    private static let table = """
        Const 1
        Parameter 1
        Result 1
        Abs 1
        Acos 1
        Acosh 4
        AdaptiveAvgPool 8
        AdaptiveMaxPool 8 index_element_type
        Add 1 auto_broadcast
        Asin 1
        Asinh 4
        Atan 1
        Atanh 4
        AvgPool 1,14,16 auto_pad dilations exclude-pad kernel pads_begin pads_end rounding_type \
        strides
        BatchNormInference 1,5 epsilon
        BatchToSpace 2
        BinaryConvolution 1 auto_pad dilations mode pad_value pads_begin pads_end strides
        BitwiseAnd 13 auto_broadcast
        BitwiseLeftShift 15 auto_broadcast
        BitwiseNot 13
        BitwiseOr 13 auto_broadcast
        BitwiseRightShift 15 auto_broadcast
        BitwiseXor 13 auto_broadcast
        Broadcast 1,3 mode
        Bucketize 3 output_type with_right_bound
        CTCGreedyDecoder 1 ctc_merge_repeated
        CTCGreedyDecoderSeqLen 6 classes_index_type merge_repeated sequence_length_type
        CTCLoss 4 ctc_merge_repeated preprocess_collapse_repeated unique
        Ceiling 1
        Clamp 1 max min
        Col2Im 15 dilations pads_begin pads_end strides
        Concat 1 axis
        Convert 1 destination_type
        ConvertLike 1
        ConvertPromoteTypes 14 promote_unsafe pytorch_scalar_promotion \
        u64_integer_promotion_target
        Convolution 1 auto_pad dilations pads_begin pads_end strides
        ConvolutionBackpropData 1 auto_pad dilations output_padding pads_begin pads_end strides
        Cos 1
        Cosh 1
        CumSum 3 exclusive reverse
        DFT 7
        DeformableConvolution 1,8 auto_pad bilinear_interpolation_pad deformable_group dilations \
        group pads_begin pads_end strides
        DeformablePSROIPooling 1 group_size mode output_dim part_size spatial_bins_x \
        spatial_bins_y spatial_scale trans_std
        DepthToSpace 1 block_size mode
        DetectionOutput 1,8 background_label_id clip_after_nms clip_before_nms code_type \
        confidence_threshold decrease_label_id input_height input_width keep_top_k nms_threshold \
        normalized num_classes objectness_score share_location top_k variance_encoded_in_target
        Divide 1 auto_broadcast m_pythondiv
        Einsum 7 equation
        Elu 1 alpha
        EmbeddingBagOffsets 15 reduction
        EmbeddingBagOffsetsSum 3
        EmbeddingBagPacked 15 reduction
        EmbeddingBagPackedSum 3
        EmbeddingSegmentsSum 3
        Equal 1 auto_broadcast
        Erf 1
        Exp 1
        ExtractImagePatches 3 auto_pad rates sizes strides
        Eye 9 output_type
        FakeConvert 13 destination_type
        FakeQuantize 1 auto_broadcast levels
        Floor 1
        FloorMod 1 auto_broadcast
        GRN 1 bias
        GRUCell 3 activations activations_alpha activations_beta clip hidden_size \
        linear_before_reset
        GRUSequence 5 activations activations_alpha activations_beta clip direction hidden_size \
        linear_before_reset
        Gather 1,7,8 batch_dims
        GatherElements 6 axis
        GatherND 5,8 batch_dims
        GatherTree 1
        Gelu 2,7 approximation_mode
        GenerateProposals 9 min_size nms_eta nms_threshold normalized post_nms_count \
        pre_nms_count roi_num_type
        Greater 1 auto_broadcast
        GreaterEqual 1 auto_broadcast
        GridSample 9 align_corners mode padding_mode
        GroupConvolution 1 auto_pad dilations pads_begin pads_end strides
        GroupConvolutionBackpropData 1 auto_pad dilations output_padding pads_begin pads_end \
        strides
        GroupNormalization 12 epsilon num_groups
        HSigmoid 5
        HSwish 4
        HardSigmoid 1
        I420toBGR 8
        I420toRGB 8
        IDFT 7
        IRDFT 9
        ISTFT 16 center normalized
        Identity 16
        Interpolate 1,4,11 align_corners antialias axes coordinate_transformation_mode cube_coeff \
        mode nearest_mode pads_begin pads_end shape_calculation_mode
        Inverse 14 adjoint
        IsFinite 10
        IsInf 10 detect_negative detect_positive
        IsNaN 10
        LRN 1 alpha beta bias size
        LSTMCell 1,4 activations activations_alpha activations_beta clip hidden_size input_forget \
        weights_format
        LSTMSequence 5 activations activations_alpha activations_beta clip direction hidden_size
        Less 1 auto_broadcast
        LessEqual 1 auto_broadcast
        Log 1
        LogSoftmax 5 axis
        LogicalAnd 1 auto_broadcast
        LogicalNot 1
        LogicalOr 1 auto_broadcast
        LogicalXor 2 auto_broadcast
        MVN 2,6 across_channels eps eps_mode normalize_variance reduction_axes
        MatMul 1 transpose_a transpose_b
        MatrixNms 8 background_class decay_function gaussian_sigma keep_top_k nms_top_k \
        normalized output_type post_threshold score_threshold sort_result_across_batch \
        sort_result_type
        MaxPool 1,8,14 auto_pad axis dilations index_element_type kernel pads_begin pads_end \
        rounding_type strides
        Maximum 1 auto_broadcast
        Minimum 1 auto_broadcast
        Mish 4
        Mod 1 auto_broadcast
        MulticlassNms 8,9 background_class iou_threshold keep_top_k nms_eta nms_top_k normalized \
        output_type score_threshold sort_result_across_batch sort_result_type
        Multiply 1 auto_broadcast
        NMSRotated 13 clockwise output_type sort_result_descending
        NV12toBGR 8
        NV12toRGB 8
        Negative 1
        NonMaxSuppression 1,3,4,5,9 box_encoding output_type sort_result_descending
        NonZero 3 output_type
        NormalizeL2 1 eps eps_mode
        NotEqual 1 auto_broadcast
        OneHot 1,16 axis negative_indices_mode
        PReLU 1
        PSROIPooling 1 group_size mode output_dim spatial_bins_x spatial_bins_y spatial_scale
        Pad 1,12 pad_mode
        Power 1 auto_broadcast
        PriorBox 1,8 aspect_ratio clip density fixed_ratio fixed_size flip max_size \
        min_max_aspect_ratios_order min_size offset scale_all_sizes step variance
        PriorBoxClustered 1 clip height offset step step_h step_w variance width
        Proposal 1,4 base_size box_coordinate_scale box_size_scale clip_after_nms clip_before_nms \
        feat_stride framework min_size nms_thresh normalize post_nms_topn pre_nms_topn ratio \
        scale
        RDFT 9
        RNNCell 1 activations activations_alpha activations_beta clip hidden_size
        RNNSequence 5 activations activations_alpha activations_beta clip direction hidden_size
        ROIAlign 3,9 aligned_mode mode pooled_h pooled_w sampling_ratio spatial_scale
        ROIAlignRotated 15 clockwise_mode pooled_h pooled_w sampling_ratio spatial_scale
        ROIPooling 2 method output_roi output_size pooled_h pooled_w spatial_scale
        Range 1,4 output_type
        ReLU 1
        ReduceL1 4 keep_dims
        ReduceL2 4 keep_dims
        ReduceLogicalAnd 1 keep_dims
        ReduceLogicalOr 1 keep_dims
        ReduceMax 1 keep_dims
        ReduceMean 1 keep_dims
        ReduceMin 1 keep_dims
        ReduceProd 1 keep_dims
        ReduceSum 1 keep_dims
        RegionYolo 1 anchors axis classes coords do_softmax end_axis mask num
        ReorgYolo 2 stride
        Reshape 1 special_zero
        ReverseSequence 1 batch_axis seq_axis
        Roll 7
        Round 5 mode
        STFT 15 transpose_frames
        ScaledDotProductAttention 13 causal
        ScatterElementsUpdate 3,12 reduction use_init_val
        ScatterNDUpdate 4,15 reduction
        ScatterUpdate 3
        SearchSorted 15 output_type right_mode
        SegmentMax 16 fill_mode
        Select 1 auto_broadcast
        Selu 1
        ShapeOf 1,3 output_type
        ShuffleChannels 1 axis group
        Sigmoid 1
        Sign 1
        Sin 1
        Sinh 1
        Slice 8
        SliceScatter 15
        SoftMax 1,8 axis
        SoftPlus 4
        SoftSign 9
        SpaceToBatch 2
        SpaceToDepth 1 block_size mode
        SparseFillEmptyRows 16
        Split 1 num_splits
        Sqrt 1
        SquaredDifference 1 auto_broadcast
        Squeeze 1,15 allow_axis_skip
        StridedSlice 1 begin_mask ellipsis_mask end_mask new_axis_mask shrink_axis_mask
        Subtract 1 auto_broadcast
        Swish 4
        Tan 1
        Tanh 1
        Tile 1
        TopK 1,3,11 axis index_element_type mode sort stable
        Transpose 1
        Unique 10 count_element_type index_element_type sorted
        Unsqueeze 1
        VariadicSplit 1
        """
}
