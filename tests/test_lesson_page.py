"""A lesson as a web page, as slides and as a handout: what answers a question is told apart."""

import re
from html import unescape
from pathlib import Path

import build
import curtain
import nbformat
import pytest

TEMPLATES = Path(__file__).resolve().parent.parent / "docs"
LESSON = """\
# %% [markdown]
# # 90 · Example
#
# ## One
#
# > **Predict.** How many?

# %% tags=["slow"]
from mrcnn_edu.viz import Picture

picture = Picture(4, 2)
picture.subplots().plot([1, 2])
print("There are two.")
picture.caption("Figure 1. A chart.")

# %% [markdown]
# **What happened.** Two.

# %% [markdown]
# ## Two
#
# <details><summary><b>Answer</b></summary>
#
# Folded.
# </details>
#
# <details><summary><b>Hint 1</b>: an idea</summary>Think.</details>

# %%
image = Picture(3, 2)
image.subplots().imshow([[0, 1]])
image.caption('Figure 2. Pixels & "more" <of them> at $s = 16$.')

# %%
photo = Picture(3, 2)
photo.format = "jpeg"
photo

# %% tags=["claim"]
still_true = True
assert still_true
"""
ALT = ["Figure 1. A chart.", 'Figure 2. Pixels & "more" <of them> at $s = 16$.']


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    source = tmp_path_factory.mktemp("page") / "90_example.py"
    source.write_text(LESSON)
    return nbformat.read(build.build(source, source.parent), as_version=4)


@pytest.fixture(scope="module")
def page(notebook):
    return export(notebook, template_name="lesson_page", extra_template_basedirs=[str(TEMPLATES)])


def export(notebook, **template) -> str:
    from nbconvert import HTMLExporter  # here, because this takes seconds

    return HTMLExporter(**template).from_notebook_node(notebook)[0]


def images(page: str) -> list[tuple[str, str]]:
    """The kind and the alt text of each picture in a page."""
    found = []
    for image in re.findall(r"<img[^>]*>", page):
        alt = re.search(r"""alt=("[^"]*"|'[^']*')""", image)[1][1:-1]
        found.append((re.search(r"data:image/(\w+)", image)[1], unescape(alt)))
    return found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_captions_are_the_alt_texts_of_pictures_in_every_form(page):
    *drawn, (kind, _) = images(page)
    assert drawn == [("png", ""), ("svg", ALT[0]), ("png", ALT[1])] and kind == "jpeg"


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_answers_are_folded_and_claims_are_left_out(page):
    folded, *_ = re.findall(r"(?s)<details>.*?</details>", page)
    assert "Show the result" in folded and "There are two." in folded and "data:image" in folded
    assert page.count("There are two.") == 2  # in the code, too
    assert curtain.TEXT not in page and "still_true" not in page


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_captions_are_where_nbconvert_looks_for_them(notebook):
    """Its classic template reads them; the default one gives no picture an alt text."""
    classic = [alt for _, alt in images(export(notebook, template_name="classic"))]
    assert ALT[1] in classic


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_deck_has_a_column_for_each_section_in_which_answers_appear_by_a_key(notebook):
    from nbconvert import SlidesExporter

    deck, _ = SlidesExporter().from_notebook_node(notebook)
    columns = re.findall(r"<section>\s*<section[^>]*>.*?</section>\s*</section>", deck, re.DOTALL)
    headings = [re.search(r"<h[12] [^>]*>([^<]*)", column)[1] for column in columns]
    assert headings == ["90 · Example", "One", "Two"]
    fragments = deck.split('<div class="fragment"')[1:]
    shown = ("There are two.", "What happened", "Folded.")
    assert all(text in part for text, part in zip(shown, fragments, strict=True))
    assert "Think." not in deck and "still_true" not in deck


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_handout_without_answers_is_made_by_their_tags(notebook):
    from nbconvert import HTMLExporter
    from nbconvert.preprocessors import TagRemovePreprocessor

    handout = HTMLExporter()
    removal = TagRemovePreprocessor(
        remove_cell_tags={"answer"}, remove_all_outputs_tags={"hide-output"}, enabled=True
    )
    handout.register_preprocessor(removal, enabled=True)
    page, _ = handout.from_notebook_node(notebook)
    assert "How many?" in page and "Think." in page
    assert "What happened" not in page and "Folded." not in page
    assert [kind for kind, _ in images(page)] == ["png", "jpeg"]
