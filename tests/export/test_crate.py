"""The manifest of a results folder, read by the RO-Crate library; and codemeta."""

import hashlib
import json
import re

from rocrate.rocrate import ROCrate

from tme_abm.export.crate import CODE, CRATE, describe_folder


def test_the_manifest_opens_in_its_own_library(result):
    crate = ROCrate(result.folder)
    assert crate.root_dataset["name"] == result.title
    files = {entity.id: entity for entity in crate.data_entities}
    assert {"patients.parquet", "trajectory.parquet/", "scenario.toml", "run.json", "summary.json", "report.html"} <= set(files)
    there = {p.relative_to(result.folder).as_posix() for p in result.folder.rglob("*") if p.is_file()}
    data_set = files.pop("trajectory.parquet/")
    assert data_set["hasPart"] == [files["trajectory.parquet/part-00000.parquet"]]
    assert set(files) == {name for name in there - {CRATE} if not name.startswith(".")}
    for name, entity in files.items():
        content = (result.folder / name).read_bytes()
        assert entity["sha256"] == hashlib.sha256(content).hexdigest()
        assert int(entity["contentSize"]) == len(content)


def test_it_tells_units_and_the_run(result):
    graph = {entity["@id"]: entity for entity in json.loads((result.folder / CRATE).read_text(encoding="utf-8"))["@graph"]}
    assert graph["#patients/age"]["unitText"] == "year"
    assert graph["#trajectory/m_protein_measured_g_per_l"]["unitText"] == "g/L"
    action = graph["#run"]
    assert action["object"] == [{"@id": "scenario.toml"}]
    assert {"@id": "patients.parquet"} in action["result"] and {"@id": "trajectory.parquet/"} in action["result"]
    assert all(part["@id"] in graph for part in (*graph["./"]["hasPart"], *graph["./"]["variableMeasured"], graph["./"]["license"]))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", graph["./"]["datePublished"])
    run = json.loads((result.folder / "run.json").read_text(encoding="utf-8"))
    assert run["finished"] == graph["./"]["datePublished"]  # in UTC
    assert graph["#tme_abm"]["identifier"] == run["model"]


def test_codemeta_names_the_software_with_its_versions(result):
    code = json.loads((result.folder / CODE).read_text(encoding="utf-8"))
    run = json.loads((result.folder / "run.json").read_text(encoding="utf-8"))
    assert code["@type"] == "SoftwareSourceCode"
    assert code["version"] == run["versions"]["tme-abm"]
    assert {part["name"]: part["version"] for part in code["softwareRequirements"]}["numpy"] == run["versions"]["numpy"]


def test_a_changed_file_changes_the_manifest(result, tmp_path):
    folder = result.save(tmp_path / "copy")
    before = (folder / CRATE).read_text(encoding="utf-8")
    (folder / "summary.json").write_text("{}", encoding="utf-8")
    describe_folder(folder, result.study)
    assert (folder / CRATE).read_text(encoding="utf-8") != before
