"""How much code a reader crosses in a training step and a detection: no more than was promised."""

import size


def test_a_training_step_and_a_detection_stay_small():
    limits = {"training step": (14, 1_500), "detect": (13, 1_450)}
    for name, (run, folder) in size.works().items():
        files, in_functions = size.count(size.entered(run, folder))
        assert len(files) >= 10 and in_functions > 400  # it really counts
        if name in limits:
            assert len(files) <= limits[name][0], files
            assert sum(files.values()) <= limits[name][1], f"{name}: {sum(files.values())} lines"


def test_what_is_entered_is_counted(tmp_path):
    code = "def f():\n    return g()\n\n\ndef g():\n    return [x for x in (1, 2)]\n\n\n"
    code += "def h():\n    pass\n"
    (tmp_path / "a.py").write_text(code)
    names: dict = {}
    exec(compile(code, str(tmp_path / "a.py"), "exec"), names)
    functions = size.entered(names["f"], tmp_path)
    assert {f.co_name for f in functions} - {"<listcomp>"} == {"f", "g"}
    assert size.count(functions) == ({str(tmp_path / "a.py"): 10}, 4)
