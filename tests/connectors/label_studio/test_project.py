"""The project on a live Label Studio: made once, found again, and kept as the loop needs it."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from alearn.core.schema import LabelSchema
from alearn.errors import Refused, Unavailable
from alearn_connectors.label_studio import convert
from alearn_connectors.label_studio.project import find_number


class TestProject:
    def test_is_made_with_what_the_loop_relies_on(self, loop: Any) -> None:
        """Sampling by score can only be set through the API; empty answers and trainings inside a submit are off."""
        raw = loop.raw
        assert raw["sampling"] == "Uncertainty sampling"
        assert raw["maximum_annotations"] == 1
        assert raw["min_annotations_to_start_training"] == 0
        assert not raw["enable_empty_annotation"]
        assert raw["parsed_label_config"]["label"]["labels"] == list(loop.classes)

    def test_is_made_once(self, loop: Any) -> None:
        """Preparing again, here or in a new process, finds it."""
        assert loop.platform.prepare() == loop.open().prepare()

    def test_is_found_by_its_mark_when_this_machine_forgot_it(self, loop: Any) -> None:
        """A crash between making it and remembering it, or another machine."""
        first = loop.platform.prepare()
        (loop.setting.home / "label-studio" / "project.json").unlink()
        assert loop.open().prepare() == first

    def test_is_found_after_people_changed_its_title_and_description(self, loop: Any) -> None:
        """This machine remembers its id and when it was made."""
        first = loop.platform.prepare()
        loop.patch(title=loop.server.new_title("renamed"), description="ours now")
        assert loop.open().prepare() == first

    def test_somebody_elses_with_the_same_title_is_left_alone(self, loop: Any, make: Any) -> None:
        """Titles are not unique; our mark is needed too."""
        other = make(prepare=False)
        title = f"alearn {other.setting.loop}"
        theirs = loop.post(
            "/api/projects/", {"title": title, "label_config": convert.label_config(LabelSchema(loop.classes), "text")}
        )
        other.platform.prepare()
        assert other.project != theirs["id"]

    def test_a_remembered_id_on_another_server_is_not_believed(self, loop: Any) -> None:
        """Every server has a project 1; the moment it was made tells them apart."""
        note = loop.setting.home / "label-studio" / "project.json"
        note.write_text(json.dumps({"id": 1, "created": "2001-01-01T00:00:00.000000Z"}))
        assert loop.open().prepare() == loop.platform.prepare()

    def test_robots_find_it_with_a_connection_of_their_own(self, loop: Any) -> None:
        """By title and mark, or not at all."""
        assert find_number(loop.http, loop.setting) == loop.project

    def test_overlap_skips_and_instructions_are_as_asked(self, make: Any) -> None:
        """Also on a project that is there already."""
        loop = make()
        loop.setting.options.update(overlap=3, skip=False, instructions="<b>Look</b> twice.")  # type: ignore[attr-defined]
        loop.open().prepare()
        raw = loop.raw
        assert (raw["maximum_annotations"], raw["show_skip_button"]) == (3, False)
        assert (raw["expert_instruction"], raw["show_instruction"]) == ("<b>Look</b> twice.", True)

    def test_a_project_that_was_deleted_is_said(self, loop: Any) -> None:
        """Pulling from nothing is refused; preparing makes a new one."""
        note = loop.setting.home / "label-studio" / "project.json"
        note.write_text(json.dumps({"id": 2**31 - 1, "created": "2001-01-01T00:00:00.000000Z"}))
        loop.setting.options.update(title=loop.server.new_title("nobody"))  # type: ignore[attr-defined]
        with pytest.raises(Refused, match="must have a project"):
            loop.open().pull(None)


class TestHandEditedConfig:
    @staticmethod
    def config(choices: Sequence[str], control: str = "label", field: str = "text") -> str:
        config = convert.label_config(LabelSchema(tuple(choices)), "text").replace("$text", f"${field}")
        return config.replace('name="label"', f'name="{control}"')

    def edit(self, loop: Any, choices: Sequence[str], control: str = "label", field: str = "text") -> None:
        loop.patch(label_config=self.config(choices, control, field))

    def test_a_new_choice_is_told_and_its_answers_are_refused_one_by_one(self, filled: Any) -> None:
        """The other answers count; Label Studio accepts the edit without a word."""
        loop, keys = filled
        self.edit(loop, [*loop.classes, "fox"])
        tasks = loop.tasks()
        loop.answer(tasks[keys[0]], "fox")
        loop.answer(tasks[keys[1]], "cat")
        found = loop.platform.pull(None)
        assert any("'fox'" in notice for notice in found.notices)
        by_key = {state.key: state.annotations[0] for state in found.states}
        assert (by_key[keys[0]].value, by_key[keys[1]].value) == (None, "cat")
        assert "'fox' is not a class" in str(by_key[keys[0]].refused)

    def test_a_choice_that_was_taken_away_is_told_and_not_suggested(self, loop: Any) -> None:
        """The server would drop such a prediction, or show one that nobody can submit; until it is added again."""
        self.edit(loop, ["cat", "$100"])
        keys = loop.keys_of(2)
        loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys, label=loop.classes[1]))
        loop.platform.pull(None)
        again = loop.open()
        again.push([], loop.queue_of(keys, "q2", label=loop.classes[1]))
        assert loop.next()["predictions"][0]["result"] == []
        loop.answer(loop.tasks()[keys[0]], "cat")
        assert any("lacks" in notice for notice in again.pull(None).notices)
        self.edit(loop, loop.classes)
        assert again.pull(None, pushed=keys).notices == ()
        again.push([], loop.queue_of(keys, "q3", label=loop.classes[1]))
        assert loop.next()["predictions"][0]["result"][0]["value"] == {"choices": [loop.classes[1]]}

    def test_preparing_again_adds_what_is_missing_and_keeps_the_rest(self, loop: Any) -> None:
        """A class that was added to the config, or taken away by hand."""
        self.edit(loop, ["cat", "fox"])
        loop.open().prepare()
        assert loop.raw["parsed_label_config"]["label"]["labels"] == ["cat", "fox", *loop.classes[1:]]

    def test_a_renamed_question_goes_on(self, filled: Any) -> None:
        """Label Studio allows it as long as nobody has answered; suggestions and answers follow the new name."""
        loop, keys = filled
        self.edit(loop, loop.classes, control="verdict")
        platform = loop.open()
        platform.push([], loop.queue_of(keys, "q2", label="cat"))
        task = loop.next()
        assert task["predictions"][0]["result"][0]["from_name"] == "verdict"
        item = {"from_name": "verdict", "to_name": "item", "type": "choices", "value": {"choices": ["$100"]}}
        loop.post(f"/api/tasks/{task['id']}/annotations/", {"result": [item]})
        found = platform.pull(None)
        assert [(state.key, state.annotations[0].value) for state in found.states] == [(keys[0], "$100")]
        assert any("'verdict'" in notice for notice in found.notices)

    def test_a_config_that_our_tasks_do_not_fit_is_refused_before_any_item_is(self, loop: Any) -> None:
        """Label Studio would refuse every single task, and a whole batch would be put aside."""
        loop.answer(
            loop.post(f"/api/projects/{loop.project}/import", [{"text": "x"}], return_task_ids="true")["task_ids"][0],
            "cat",
        )
        loop.http.delete(f"/api/projects/{loop.project}/tasks/")
        self.edit(loop, loop.classes, field="content")
        keys = loop.keys_of(2)
        with pytest.raises(Unavailable, match=r"must (hold one Choices control about|ask about) \$text"):
            loop.platform.push(loop.tasks_of(keys), loop.queue_of(keys))
        with pytest.raises(Unavailable, match="must hold one Choices control about \\$text"):
            loop.open().push(loop.tasks_of(keys), loop.queue_of(keys))

    def test_a_misfit_with_answers_is_refused_at_a_start(self, filled: Any) -> None:
        """Replacing it would lose them; and it is not known that somebody will put it back."""
        loop, keys = filled
        loop.answer(loop.tasks()[keys[5]], "cat")
        self.edit(loop, loop.classes, field="content")
        with pytest.raises(Refused, match=r"about \$text that offers .* Got a question about \$content"):
            loop.open().prepare()

    def test_a_misfit_is_told_with_what_differs_and_waited_for(self, filled: Any) -> None:
        """Classes that are gone and new, other fields, other controls; put back, the same process goes on."""
        loop, keys = filled
        config, platform = loop.raw["label_config"], loop.platform
        text = '<Text name="item" value="$text"/>'
        free = f'<View>{text}<TextArea name="label" toName="item"/></View>'
        for edited, difference in (
            (self.config(["yes", "no"]), "without 'cat', .*, with 'yes', 'no'"),
            (self.config([*loop.classes, "fox"], field="content"), r"about \$content, with 'fox'"),
            (free, "TextArea 'label'"),
            (f"<View>{text}</View>", "no control"),
        ):
            loop.patch(label_config=edited)
            with pytest.raises(Unavailable, match=difference):
                loop.open().push([], loop.queue_of(keys[::-1], "q2"))
            assert any(re.search(difference, notice) for notice in platform.pull(None, pushed=keys).notices)
            with pytest.raises(Unavailable, match=difference):
                platform.push([], loop.queue_of(keys[::-1], "q2"))
        loop.patch(label_config=config)
        platform.push([], loop.queue_of(keys[::-1], "q2"))
        assert platform.pull(None, pushed=keys).notices == ()
        assert loop.served() == keys[::-1]

    def test_another_control_beside_ours_changes_nothing(self, filled: Any) -> None:
        """A comment that people may write: the order, suggestions and answers stay."""
        loop, keys = filled
        edited = loop.raw["label_config"].replace("</View>", '<TextArea name="why" toName="item"/></View>')
        loop.patch(label_config=edited)
        loop.platform.push([], loop.queue_of(keys[::-1], "q2", label="$100"))
        task = loop.next()
        assert task["predictions"][0]["result"][0]["value"] == {"choices": ["$100"]}
        said = {"from_name": "why", "to_name": "item", "type": "textarea", "value": {"text": ["so"]}}
        ours = {"from_name": "label", "to_name": "item", "type": "choices", "value": {"choices": ["cat"]}}
        loop.post(f"/api/tasks/{task['id']}/annotations/", {"result": [said, ours]})
        loop.post(f"/api/tasks/{loop.tasks()[keys[0]]}/annotations/", {"result": [said]})
        found = loop.platform.pull(None)
        by_key = {state.key: state.annotations[0] for state in found.states}
        assert by_key[keys[5]].value == "cat"
        assert "answered in why" in str(by_key[keys[0]].refused)
        assert found.notices == ()

    def test_an_alias_is_another_name(self, filled: Any) -> None:
        """It is what Label Studio stores from then on: told, and refused one by one."""
        loop, keys = filled
        loop.patch(label_config=loop.raw["label_config"].replace('value="cat"', 'value="cat" alias="Katze"'))
        loop.answer(loop.tasks()[keys[0]], "Katze")
        found = loop.platform.pull(None)
        assert any("'Katze'" in notice for notice in found.notices)
        assert any("lacks 'cat'" in notice for notice in found.notices)
        assert "'Katze' is not a class" in str(found.states[0].annotations[0].refused)

    def test_a_foreign_config_without_answers_is_replaced(self, loop: Any) -> None:
        """Nothing can be lost."""
        self.edit(loop, ["yes", "no"], field="content")
        loop.open().prepare()
        assert loop.raw["parsed_label_config"]["label"]["inputs"][0]["value"] == "text"
