"""The papers that the course cites, and the list of references at the end of a lesson.

A lesson cites a paper by a link: `[Mask R-CNN](https://arxiv.org/abs/1703.06870), section 3`. The
build collects the links of its text cells and writes the list, so that no lesson keeps its own.
To cite a paper that is not here yet, add a row. Its link leads to arXiv if the paper is there, so
that everybody can read it, and otherwise to its DOI.
"""

import re
from typing import NamedTuple


class Paper(NamedTuple):
    """One entry of the list. The year is that of the venue, or of arXiv if there is none."""

    key: str  # unique, for those who look a paper up in the code
    year: int
    authors: str
    title: str
    venue: str  # "" if there is none
    link: str


# fmt: off
PAPERS = (
    # Before deep networks, and what evaluation rests on
    Paper("student", 1908, "Student (W. S. Gosset)",
          "The Probable Error of a Mean",
          "Biometrika", "https://doi.org/10.1093/biomet/6.1.1"),
    Paper("welch", 1947, "B. L. Welch",
          "The Generalization of 'Student's' Problem when Several Different Population Variances "
          "are Involved",
          "Biometrika", "https://doi.org/10.1093/biomet/34.1-2.28"),
    Paper("otsu", 1979, "N. Otsu",
          "A Threshold Selection Method from Gray-Level Histograms",
          "IEEE Transactions on Systems, Man, and Cybernetics",
          "https://doi.org/10.1109/TSMC.1979.4310076"),
    Paper("watershed", 1991, "L. Vincent, P. Soille",
          "Watersheds in Digital Spaces: An Efficient Algorithm Based on Immersion Simulations",
          "TPAMI", "https://doi.org/10.1109/34.87344"),
    Paper("graph-segmentation", 2004, "P. F. Felzenszwalb, D. P. Huttenlocher",
          "Efficient Graph-Based Image Segmentation",
          "IJCV", "https://doi.org/10.1023/B:VISI.0000022288.19776.77"),
    Paper("roofline", 2009, "S. Williams, A. Waterman, D. Patterson",
          "Roofline: An Insightful Visual Performance Model for Multicore Architectures",
          "Communications of the ACM", "https://doi.org/10.1145/1498765.1498785"),
    Paper("dpm", 2010, "P. F. Felzenszwalb, R. B. Girshick, D. McAllester, D. Ramanan",
          "Object Detection with Discriminatively Trained Part-Based Models",
          "TPAMI", "https://doi.org/10.1109/TPAMI.2009.167"),
    Paper("voc", 2010, "M. Everingham, L. Van Gool, C. K. I. Williams, J. Winn, A. Zisserman",
          "The Pascal Visual Object Classes (VOC) Challenge",
          "IJCV", "https://doi.org/10.1007/s11263-009-0275-4"),
    Paper("alexnet", 2012, "A. Krizhevsky, I. Sutskever, G. E. Hinton",
          "ImageNet Classification with Deep Convolutional Neural Networks",
          "NIPS", "https://proceedings.neurips.cc/paper/2012/hash/"
          "c399862d3b9d6b76c8436e924a68c45b-Abstract.html"),
    Paper("diagnosing-error", 2012, "D. Hoiem, Y. Chodpathumwan, Q. Dai",
          "Diagnosing Error in Object Detectors",
          "ECCV", "https://doi.org/10.1007/978-3-642-33712-3_25"),
    Paper("selective-search", 2013,
          "J. R. R. Uijlings, K. E. A. van de Sande, T. Gevers, A. W. M. Smeulders",
          "Selective Search for Object Recognition",
          "IJCV", "https://doi.org/10.1007/s11263-013-0620-5"),

    # From R-CNN to Mask R-CNN
    Paper("coco", 2014, "T.-Y. Lin et al.",
          "Microsoft COCO: Common Objects in Context",
          "ECCV", "https://arxiv.org/abs/1405.0312"),
    Paper("multibox", 2014, "D. Erhan, C. Szegedy, A. Toshev, D. Anguelov",
          "Scalable Object Detection using Deep Neural Networks",
          "CVPR", "https://arxiv.org/abs/1312.2249"),
    Paper("overfeat", 2014,
          "P. Sermanet, D. Eigen, X. Zhang, M. Mathieu, R. Fergus, Y. LeCun",
          "OverFeat: Integrated Recognition, Localization and Detection using Convolutional "
          "Networks",
          "ICLR", "https://arxiv.org/abs/1312.6229"),
    Paper("r-cnn", 2014, "R. Girshick, J. Donahue, T. Darrell, J. Malik",
          "Rich Feature Hierarchies for Accurate Object Detection and Semantic Segmentation",
          "CVPR", "https://arxiv.org/abs/1311.2524"),
    Paper("sppnet", 2014, "K. He, X. Zhang, S. Ren, J. Sun",
          "Spatial Pyramid Pooling in Deep Convolutional Networks for Visual Recognition",
          "ECCV", "https://arxiv.org/abs/1406.4729"),
    Paper("saliency", 2014, "K. Simonyan, A. Vedaldi, A. Zisserman",
          "Deep Inside Convolutional Networks: Visualising Image Classification Models and "
          "Saliency Maps",
          "ICLR Workshops", "https://arxiv.org/abs/1312.6034"),
    Paper("adam", 2015, "D. P. Kingma, J. Ba",
          "Adam: A Method for Stochastic Optimization",
          "ICLR", "https://arxiv.org/abs/1412.6980"),
    Paper("batch-norm", 2015, "S. Ioffe, C. Szegedy",
          "Batch Normalization: Accelerating Deep Network Training by Reducing Internal Covariate "
          "Shift",
          "ICML", "https://arxiv.org/abs/1502.03167"),
    Paper("deepmask", 2015, "P. O. Pinheiro, R. Collobert, P. Dollár",
          "Learning to Segment Object Candidates",
          "NIPS", "https://arxiv.org/abs/1506.06204"),
    Paper("fast-r-cnn", 2015, "R. Girshick",
          "Fast R-CNN",
          "ICCV", "https://arxiv.org/abs/1504.08083"),
    Paper("faster-r-cnn", 2015, "S. Ren, K. He, R. Girshick, J. Sun",
          "Faster R-CNN: Towards Real-Time Object Detection with Region Proposal Networks",
          "NIPS", "https://arxiv.org/abs/1506.01497"),
    Paper("fcn", 2015, "J. Long, E. Shelhamer, T. Darrell",
          "Fully Convolutional Networks for Semantic Segmentation",
          "CVPR", "https://arxiv.org/abs/1411.4038"),
    Paper("he-initialization", 2015, "K. He, X. Zhang, S. Ren, J. Sun",
          "Delving Deep into Rectifiers: Surpassing Human-Level Performance on ImageNet "
          "Classification",
          "ICCV", "https://arxiv.org/abs/1502.01852"),
    Paper("imagenet", 2015, "O. Russakovsky et al.",
          "ImageNet Large Scale Visual Recognition Challenge",
          "IJCV", "https://arxiv.org/abs/1409.0575"),
    Paper("spatial-transformer", 2015,
          "M. Jaderberg, K. Simonyan, A. Zisserman, K. Kavukcuoglu",
          "Spatial Transformer Networks",
          "NIPS", "https://arxiv.org/abs/1506.02025"),
    Paper("u-net", 2015, "O. Ronneberger, P. Fischer, T. Brox",
          "U-Net: Convolutional Networks for Biomedical Image Segmentation",
          "MICCAI", "https://arxiv.org/abs/1505.04597"),
    Paper("vgg", 2015, "K. Simonyan, A. Zisserman",
          "Very Deep Convolutional Networks for Large-Scale Image Recognition",
          "ICLR", "https://arxiv.org/abs/1409.1556"),
    Paper("checkerboard", 2016, "A. Odena, V. Dumoulin, C. Olah",
          "Deconvolution and Checkerboard Artifacts",
          "Distill", "https://doi.org/10.23915/distill.00003"),
    Paper("cityscapes", 2016, "M. Cordts et al.",
          "The Cityscapes Dataset for Semantic Urban Scene Understanding",
          "CVPR", "https://arxiv.org/abs/1604.01685"),
    Paper("convolution-arithmetic", 2016, "V. Dumoulin, F. Visin",
          "A Guide to Convolution Arithmetic for Deep Learning",
          "", "https://arxiv.org/abs/1603.07285"),
    Paper("effective-receptive-field", 2016, "W. Luo, Y. Li, R. Urtasun, R. Zemel",
          "Understanding the Effective Receptive Field in Deep Convolutional Neural Networks",
          "NIPS", "https://arxiv.org/abs/1701.04128"),
    Paper("effective-proposals", 2016, "J. Hosang, R. Benenson, P. Dollár, B. Schiele",
          "What Makes for Effective Detection Proposals?",
          "TPAMI", "https://arxiv.org/abs/1502.05082"),
    Paper("instance-fcn", 2016, "J. Dai, K. He, Y. Li, S. Ren, J. Sun",
          "Instance-Sensitive Fully Convolutional Networks",
          "ECCV", "https://arxiv.org/abs/1603.08678"),
    Paper("mnc", 2016, "J. Dai, K. He, J. Sun",
          "Instance-Aware Semantic Segmentation via Multi-Task Network Cascades",
          "CVPR", "https://arxiv.org/abs/1512.04412"),
    Paper("ohem", 2016, "A. Shrivastava, A. Gupta, R. Girshick",
          "Training Region-Based Object Detectors with Online Hard Example Mining",
          "CVPR", "https://arxiv.org/abs/1604.03540"),
    Paper("r-fcn", 2016, "J. Dai, Y. Li, K. He, J. Sun",
          "R-FCN: Object Detection via Region-Based Fully Convolutional Networks",
          "NIPS", "https://arxiv.org/abs/1605.06409"),
    Paper("resnet", 2016, "K. He, X. Zhang, S. Ren, J. Sun",
          "Deep Residual Learning for Image Recognition",
          "CVPR", "https://arxiv.org/abs/1512.03385"),
    Paper("ssd", 2016, "W. Liu et al.",
          "SSD: Single Shot MultiBox Detector",
          "ECCV", "https://arxiv.org/abs/1512.02325"),
    Paper("torchvision", 2016, "TorchVision maintainers and contributors",
          "TorchVision: PyTorch's Computer Vision Library",
          "software", "https://github.com/pytorch/vision"),
    Paper("yolo", 2016, "J. Redmon, S. Divvala, R. Girshick, A. Farhadi",
          "You Only Look Once: Unified, Real-Time Object Detection",
          "CVPR", "https://arxiv.org/abs/1506.02640"),
    Paper("deformable", 2017, "J. Dai et al.",
          "Deformable Convolutional Networks",
          "ICCV", "https://arxiv.org/abs/1703.06211"),
    Paper("fcis", 2017, "Y. Li, H. Qi, J. Dai, X. Ji, Y. Wei",
          "Fully Convolutional Instance-Aware Semantic Segmentation",
          "CVPR", "https://arxiv.org/abs/1611.07709"),
    Paper("focal-loss", 2017, "T.-Y. Lin, P. Goyal, R. Girshick, K. He, P. Dollár",
          "Focal Loss for Dense Object Detection",
          "ICCV", "https://arxiv.org/abs/1708.02002"),
    Paper("fpn", 2017, "T.-Y. Lin, P. Dollár, R. Girshick, K. He, B. Hariharan, S. Belongie",
          "Feature Pyramid Networks for Object Detection",
          "CVPR", "https://arxiv.org/abs/1612.03144"),
    Paper("g-rmi", 2017, "G. Papandreou et al.",
          "Towards Accurate Multi-Person Pose Estimation in the Wild",
          "CVPR", "https://arxiv.org/abs/1701.01779"),
    Paper("linear-scaling", 2017, "P. Goyal et al.",
          "Accurate, Large Minibatch SGD: Training ImageNet in 1 Hour",
          "", "https://arxiv.org/abs/1706.02677"),
    Paper("mask-r-cnn", 2017, "K. He, G. Gkioxari, P. Dollár, R. Girshick",
          "Mask R-CNN",
          "ICCV", "https://arxiv.org/abs/1703.06870"),
    Paper("openpose", 2017, "Z. Cao, T. Simon, S.-E. Wei, Y. Sheikh",
          "Realtime Multi-Person 2D Pose Estimation using Part Affinity Fields",
          "CVPR", "https://arxiv.org/abs/1611.08050"),
    Paper("resnext", 2017, "S. Xie, R. Girshick, P. Dollár, Z. Tu, K. He",
          "Aggregated Residual Transformations for Deep Neural Networks",
          "CVPR", "https://arxiv.org/abs/1611.05431"),
    Paper("sgdr", 2017, "I. Loshchilov, F. Hutter",
          "SGDR: Stochastic Gradient Descent with Warm Restarts",
          "ICLR", "https://arxiv.org/abs/1608.03983"),
    Paper("soft-nms", 2017, "N. Bodla, B. Singh, R. Chellappa, L. S. Davis",
          "Soft-NMS: Improving Object Detection With One Line of Code",
          "ICCV", "https://arxiv.org/abs/1704.04503"),
    Paper("speed-accuracy", 2017, "J. Huang et al.",
          "Speed/Accuracy Trade-Offs for Modern Convolutional Object Detectors",
          "CVPR", "https://arxiv.org/abs/1611.10012"),
    Paper("yolo9000", 2017, "J. Redmon, A. Farhadi",
          "YOLO9000: Better, Faster, Stronger",
          "CVPR", "https://arxiv.org/abs/1612.08242"),

    # What came after
    Paper("cascade-r-cnn", 2018, "Z. Cai, N. Vasconcelos",
          "Cascade R-CNN: Delving into High Quality Object Detection",
          "CVPR", "https://arxiv.org/abs/1712.00726"),
    Paper("group-norm", 2018, "Y. Wu, K. He",
          "Group Normalization",
          "ECCV", "https://arxiv.org/abs/1803.08494"),
    Paper("iou-net", 2018, "B. Jiang, R. Luo, J. Mao, T. Xiao, Y. Jiang",
          "Acquisition of Localization Confidence for Accurate Object Detection",
          "ECCV", "https://arxiv.org/abs/1807.11590"),
    Paper("mixed-precision", 2018, "P. Micikevicius et al.",
          "Mixed Precision Training",
          "ICLR", "https://arxiv.org/abs/1710.03740"),
    Paper("datasheets", 2018, "T. Gebru et al.",
          "Datasheets for Datasets",
          "", "https://arxiv.org/abs/1803.09010"),
    Paper("sanity-checks", 2018, "J. Adebayo et al.",
          "Sanity Checks for Saliency Maps",
          "NeurIPS", "https://arxiv.org/abs/1810.03292"),
    Paper("stardist", 2018, "U. Schmidt, M. Weigert, C. Broaddus, G. Myers",
          "Cell Detection with Star-Convex Polygons",
          "MICCAI", "https://arxiv.org/abs/1806.03535"),
    Paper("adamw", 2019, "I. Loshchilov, F. Hutter",
          "Decoupled Weight Decay Regularization",
          "ICLR", "https://arxiv.org/abs/1711.05101"),
    Paper("centernet", 2019, "X. Zhou, D. Wang, P. Krähenbühl",
          "Objects as Points",
          "", "https://arxiv.org/abs/1904.07850"),
    Paper("detectron2", 2019, "Y. Wu, A. Kirillov, F. Massa, W.-Y. Lo, R. Girshick",
          "Detectron2",
          "software", "https://github.com/facebookresearch/detectron2"),
    Paper("fcos", 2019, "Z. Tian, C. Shen, H. Chen, T. He",
          "FCOS: Fully Convolutional One-Stage Object Detection",
          "ICCV", "https://arxiv.org/abs/1904.01355"),
    Paper("giou", 2019, "H. Rezatofighi et al.",
          "Generalized Intersection over Union: A Metric and a Loss for Bounding Box Regression",
          "CVPR", "https://arxiv.org/abs/1902.09630"),
    Paper("lvis", 2019, "A. Gupta, P. Dollár, R. Girshick",
          "LVIS: A Dataset for Large Vocabulary Instance Segmentation",
          "CVPR", "https://arxiv.org/abs/1908.03195"),
    Paper("mask-scoring", 2019, "Z. Huang, L. Huang, Y. Gong, C. Huang, X. Wang",
          "Mask Scoring R-CNN",
          "CVPR", "https://arxiv.org/abs/1903.00241"),
    Paper("panoptic", 2019, "A. Kirillov, K. He, R. Girshick, C. Rother, P. Dollár",
          "Panoptic Segmentation",
          "CVPR", "https://arxiv.org/abs/1801.00868"),
    Paper("panoptic-fpn", 2019, "A. Kirillov, R. Girshick, K. He, P. Dollár",
          "Panoptic Feature Pyramid Networks",
          "CVPR", "https://arxiv.org/abs/1901.02446"),
    Paper("pytorch", 2019, "A. Paszke et al.",
          "PyTorch: An Imperative Style, High-Performance Deep Learning Library",
          "NeurIPS", "https://arxiv.org/abs/1912.01703"),
    Paper("receptive-fields", 2019, "A. Araujo, W. Norris, J. Sim",
          "Computing Receptive Fields of Convolutional Neural Networks",
          "Distill", "https://doi.org/10.23915/distill.00021"),
    Paper("triton", 2019, "P. Tillet, H. T. Kung, D. Cox",
          "Triton: An Intermediate Language and Compiler for Tiled Neural Network Computations",
          "MAPL", "https://doi.org/10.1145/3315508.3329973"),
    Paper("yolact", 2019, "D. Bolya, C. Zhou, F. Xiao, Y. J. Lee",
          "YOLACT: Real-Time Instance Segmentation",
          "ICCV", "https://arxiv.org/abs/1904.02689"),
    Paper("imagenet-generalization", 2019, "B. Recht, R. Roelofs, L. Schmidt, V. Shankar",
          "Do ImageNet Classifiers Generalize to ImageNet?",
          "ICML", "https://arxiv.org/abs/1902.10811"),
    Paper("rethinking-pretraining", 2019, "K. He, R. Girshick, P. Dollár",
          "Rethinking ImageNet Pre-training",
          "ICCV", "https://arxiv.org/abs/1811.08883"),
    Paper("atss", 2020, "S. Zhang, C. Chi, Y. Yao, Z. Lei, S. Z. Li",
          "Bridging the Gap Between Anchor-Based and Anchor-Free Detection via Adaptive Training "
          "Sample Selection",
          "CVPR", "https://arxiv.org/abs/1912.02424"),
    Paper("detr", 2020, "N. Carion et al.",
          "End-to-End Object Detection with Transformers",
          "ECCV", "https://arxiv.org/abs/2005.12872"),
    Paper("pointrend", 2020, "A. Kirillov, Y. Wu, K. He, R. Girshick",
          "PointRend: Image Segmentation as Rendering",
          "CVPR", "https://arxiv.org/abs/1912.08193"),
    Paper("tide", 2020, "D. Bolya, S. Foley, J. Hays, J. Hoffman",
          "TIDE: A General Toolbox for Identifying Object Detection Errors",
          "ECCV", "https://arxiv.org/abs/2008.08115"),
    Paper("boundary-iou", 2021, "B. Cheng, R. Girshick, P. Dollár, A. C. Berg, A. Kirillov",
          "Boundary IoU: Improving Object-Centric Image Segmentation Evaluation",
          "CVPR", "https://arxiv.org/abs/2103.16562"),
    Paper("detection-transfer", 2021,
          "Y. Li, S. Xie, X. Chen, P. Dollár, K. He, R. Girshick",
          "Benchmarking Detection Transfer Learning with Vision Transformers",
          "", "https://arxiv.org/abs/2111.11429"),
    Paper("variance", 2021, "X. Bouthillier et al.",
          "Accounting for Variance in Machine Learning Benchmarks",
          "MLSys", "https://arxiv.org/abs/2103.03098"),
    Paper("mask2former", 2022,
          "B. Cheng, I. Misra, A. G. Schwing, A. Kirillov, R. Girdhar",
          "Masked-Attention Mask Transformer for Universal Image Segmentation",
          "CVPR", "https://arxiv.org/abs/2112.01527"),
    Paper("flash-attention", 2022, "T. Dao, D. Y. Fu, S. Ermon, A. Rudra, C. Ré",
          "FlashAttention: Fast and Memory-Efficient Exact Attention with IO-Awareness",
          "NeurIPS", "https://arxiv.org/abs/2205.14135"),
    Paper("vitdet", 2022, "Y. Li, H. Mao, R. Girshick, K. He",
          "Exploring Plain Vision Transformer Backbones for Object Detection",
          "ECCV", "https://arxiv.org/abs/2203.16527"),
    Paper("segment-anything", 2023, "A. Kirillov et al.",
          "Segment Anything",
          "ICCV", "https://arxiv.org/abs/2304.02643"),
    Paper("pytorch-2", 2024, "J. Ansel et al.",
          "PyTorch 2: Faster Machine Learning Through Dynamic Python Bytecode Transformation and "
          "Graph Compilation",
          "ASPLOS", "https://doi.org/10.1145/3620665.3640366"),
)
# fmt: on

LINK = re.compile(r"https?://[^\s<>()\[\]\"'`]+")
# One place has many addresses: arXiv has the abstract, the PDF and versions, and its own DOIs.
ARXIV = re.compile(
    r"(?:[\w-]+\.)?arxiv\.org/(?:abs|pdf|html)/(\d{4}\.\d{4,5})(?:v\d+)?(?:\.pdf)?"
    r"|(?:[\w-]+\.)?doi\.org/10\.48550/arxiv\.(\d{4}\.\d{4,5})"
)
DOI = re.compile(r"(?:[\w-]+\.)?doi\.org/(10\..+)")
# What a link of this kind leads to must be in the list.
PAPER_LINK = re.compile(
    r"(?:[\w.-]+\.)?(?:arxiv\.org|doi\.org|thecvf\.com|nips\.cc|neurips\.cc|openreview\.net|"
    r"mlr\.press|jmlr\.org|springer\.com|ieee\.org|acm\.org|distill\.pub|semanticscholar\.org)/."
    r"|.*\.pdf$"
)


def reference_list(texts: list[str]) -> str:
    """The papers whose links occur in the texts, by year, as a Markdown list; "" if none occurs.

    A link to a PDF or to one version of a paper on arXiv counts as a link to that paper. Raises
    ValueError if a link leads to a paper that is not in PAPERS, and names the link.
    """
    papers = {place_of(paper.link): paper for paper in PAPERS}
    links = [link.rstrip(".,;:!?*_") for text in texts for link in LINK.findall(text)]
    unknown = [
        link
        for link in dict.fromkeys(links)
        if place_of(link) not in papers and PAPER_LINK.match(address_of(link))
    ]
    if unknown:
        raise ValueError(
            f"no paper in notebooks/references.py has the link {' or '.join(unknown)}: cite the "
            "paper by the link that it has there, or add it to PAPERS"
        )
    cited = {papers[place_of(link)] for link in links if place_of(link) in papers}
    by_year = sorted(cited, key=lambda paper: (paper.year, paper.authors, paper.title))
    return "\n".join(f"- {entry_of(paper)}" for paper in by_year)


def address_of(link: str) -> str:
    """A link without what does not matter: https://, a query, a section, letters' case."""
    return re.sub(r"[?#].*", "", link.partition("://")[2]).rstrip("/").lower()


def place_of(link: str) -> str:
    """What a link leads to, the same for all ways to write it, such as "arXiv:1703.06870"."""
    address = address_of(link)
    if match := ARXIV.fullmatch(address):
        return f"arXiv:{match[1] or match[2]}"
    if match := DOI.fullmatch(address):
        return f"doi:{match[1]}"
    return address


def entry_of(paper: Paper) -> str:
    """A paper's line: authors (year). Title. Venue. Link."""
    place = place_of(paper.link)
    name = place if place.startswith(("arXiv:", "doi:")) else "link"
    title = f"*{paper.title}*" if paper.title.endswith("?") else f"*{paper.title}*."
    venue = f" {paper.venue}." if paper.venue else ""
    return f"{paper.authors} ({paper.year}). {title}{venue} [{name}]({paper.link})"
