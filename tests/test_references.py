"""The list of papers is consistent, and a lesson's references follow from the links in its text."""

import re
from pathlib import Path

import jupytext
import pytest
from references import LINK, PAPERS, Paper, entry_of, place_of, reference_list

ROOT = Path(__file__).resolve().parent.parent
SOURCES = sorted((ROOT / "notebooks" / "src").glob("*.py"))
MASK_RCNN = "https://arxiv.org/abs/1703.06870"
SELECTIVE_SEARCH = "https://doi.org/10.1007/s11263-013-0620-5"


# ---- the list ----


@pytest.mark.parametrize("paper", PAPERS, ids=lambda paper: paper.key)
def test_a_paper_is_written_as_all_others(paper):
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", paper.key)
    for words in (paper.authors, paper.title):
        assert words and words == " ".join(words.split())
        assert not re.search(r"[*_\[\]|]|,$", words)
    assert paper.title[-1] != "."
    first = paper.authors.split()[0]
    assert re.fullmatch(r"([A-Z]\.-?)+|Student|TorchVision", first), "initials first, then the name"
    known = r"arxiv\.org/abs/\d{4}\.\d{4,5}|doi\.org/10\.\S+|github\.com/\S+|proceedings\.\S+"
    assert re.fullmatch(rf"https://({known})", paper.link)
    assert LINK.findall(f"[a paper]({paper.link}), section 3") == [paper.link]


@pytest.mark.parametrize(
    "paper", [p for p in PAPERS if "arxiv.org" in p.link], ids=lambda paper: paper.key
)
def test_a_number_on_arxiv_begins_with_the_year_of_the_paper_or_nearly(paper):
    number = place_of(paper.link).removeprefix("arXiv:")
    assert -1 <= paper.year - (2000 + int(number[:2])) <= 2
    assert 1 <= int(number[2:4]) <= 12
    assert len(number) == (9 if number < "1501" else 10)  # five digits since 2015


def test_papers_are_in_order_and_each_is_there_once():
    assert [paper.year for paper in PAPERS] == sorted(paper.year for paper in PAPERS)
    for name in ("key", "title"):
        values = [getattr(paper, name) for paper in PAPERS]
        assert len(set(values)) == len(values)
    assert len({place_of(paper.link) for paper in PAPERS}) == len(PAPERS)


# ---- the references of a text ----


def test_references_are_the_papers_that_are_linked_by_year():
    texts = [
        f"As in [Mask R-CNN]({MASK_RCNN}), section 3, and [Mask R-CNN]({MASK_RCNN}), figure 4.",
        f"R-CNN uses [selective search]({SELECTIVE_SEARCH}); see also <{MASK_RCNN}>.",
    ]
    assert reference_list(texts).splitlines() == [
        "- J. R. R. Uijlings, K. E. A. van de Sande, T. Gevers, A. W. M. Smeulders (2013). "
        "*Selective Search for Object Recognition*. IJCV. "
        f"[doi:10.1007/s11263-013-0620-5]({SELECTIVE_SEARCH})",
        "- K. He, G. Gkioxari, P. Dollár, R. Girshick (2017). *Mask R-CNN*. ICCV. "
        f"[arXiv:1703.06870]({MASK_RCNN})",
    ]


def test_the_order_of_the_texts_does_not_matter():
    texts = [paper.link for paper in PAPERS]
    assert reference_list(texts) == reference_list(texts[::-1]) == reference_list([" ".join(texts)])
    assert len(reference_list(texts).splitlines()) == len(PAPERS)


def test_texts_without_papers_have_no_references():
    assert reference_list([]) == reference_list([""]) == ""
    other = "[lesson 05](05_anchors.ipynb), https://pytorch.org, https://cocodataset.org/#format"
    assert reference_list([other, "arXiv:1703.06870 is not a link", "https://"]) == ""


@pytest.mark.parametrize(
    "link",
    [
        "https://arxiv.org/abs/1703.06870v3",
        "https://arxiv.org/pdf/1703.06870",
        "https://arxiv.org/pdf/1703.06870v1.pdf",
        "http://www.arxiv.org/abs/1703.06870",
        "https://arxiv.org/abs/1703.06870#page=3",
        "https://doi.org/10.48550/arXiv.1703.06870",
    ],
)
def test_all_ways_to_write_a_link_lead_to_one_paper(link):
    assert place_of(link) == place_of(MASK_RCNN)
    for text in (f"[Mask R-CNN]({link})", f"<{link}>", f"See {link}.", f"**{link}**: read it"):
        assert reference_list([text]) == reference_list([MASK_RCNN])
    upper = SELECTIVE_SEARCH.replace("s11263", "S11263")
    assert reference_list([upper]) == reference_list([SELECTIVE_SEARCH]) != ""


@pytest.mark.parametrize(
    "link",
    [
        "https://arxiv.org/abs/1703.06871",
        "https://arxiv.org/pdf/2999.00001v2.pdf",
        "https://arxiv.org/list/cs.CV/recent",
        "https://doi.org/10.1000/182",
        "https://openaccess.thecvf.com/content_iccv_2017/html/He_Mask_R-CNN_ICCV_2017_paper.html",
        "https://example.org/lecture.pdf",
    ],
)
def test_a_link_to_a_paper_that_is_not_in_the_list_is_an_error(link):
    with pytest.raises(ValueError, match=re.escape(link)) as error:
        reference_list([f"[Mask R-CNN]({MASK_RCNN}) and [another one]({link}), section 2"])
    assert MASK_RCNN not in str(error.value) and "add it to PAPERS" in str(error.value)


def test_a_title_that_is_a_question_keeps_its_mark_and_a_venue_may_be_missing():
    paper = Paper("why", 2020, "A. Nobody", "Why?", "", "https://arxiv.org/abs/2001.00001")
    line = "A. Nobody (2020). *Why?* [arXiv:2001.00001](https://arxiv.org/abs/2001.00001)"
    assert entry_of(paper) == line


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stem)
def test_every_paper_that_a_lesson_links_is_in_the_list(source):
    cells = jupytext.read(source).cells
    reference_list([cell.source for cell in cells if cell.cell_type == "markdown"])


GUIDES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]


@pytest.mark.parametrize("guide", GUIDES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_paper_that_the_guides_link_is_in_the_list(guide):
    reference_list([guide.read_text()])
