"""A reservation's page and what can be done on it: stories from the request to the end."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest
from flask import Flask

from labbook.web import long_tests, reservations
from tests.cast import NOW, Cast, at
from tests.web.house import House, booked, step


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


def test_from_the_request_to_the_end(house: House) -> None:
    path = booked(house.anna)
    asked = house.anna.get(path)
    assert "requested" in asked.text
    assert "Slot window Tue 24 Mar" in asked.text
    assert "with 30 min of set-up and 30 min of tear-down" in asked.text
    assert not asked.offers("approve")

    assert "Approved." in step(house.mia, path, "approve").text
    waits = step(house.anna, path, "change", end_date="2026-03-24", end_time="13:00")
    assert "Asked for; a manager has to agree first." in waits.text
    assert "A change is asked for" in waits.text
    assert "Tue 24 Mar, 10:00–12:00" in re.sub(r" 2026,", ",", waits.text)
    assert "The change is accepted." in step(house.mia, path, "accept").text

    house.clock.move_to(at("2026-03-24 09:40"))
    assert "Checked in." in step(house.anna, path, "check-in").text
    house.clock.move_to(at("2026-03-24 12:30"))
    done = step(house.anna, path, "check-out")
    assert "Handed back." in done.text
    assert "completed" in done.text
    for words in ("requested · Anna", "approved · Mia", "change asked for", "change accepted", "checked out"):
        assert words in done.text
    assert not any(done.offers(name) for name in ("cancel", "change", "check-in", "extend"))


def test_a_request_is_declined_with_a_reason(house: House) -> None:
    path = booked(house.anna)
    assert "Please give a reason." in step(house.mia, path, "decline", reason=" ").text
    step(house.mia, path, "decline", reason="The chamber is away")
    page = house.anna.get(path)
    assert "declined" in page.text
    assert "“The chamber is away”" in page.text


def test_a_proposal_is_accepted_with_one_click(house: House) -> None:
    path = booked(house.anna)
    proposed = step(
        house.mia,
        path,
        "propose",
        start_date="2026-03-25",
        start_time="10:00",
        end_date="2026-03-25",
        end_time="12:00",
        reason="Tuesday is full",
    )
    assert "Proposed." in proposed.text
    page = house.anna.get(path)
    assert "Another time is proposed" in page.text
    assert page.offers("accept")
    accepted = step(house.anna, path, "accept")
    assert "Wed 25 Mar" in accepted.text
    assert "approved" in accepted.text


def test_a_proposal_can_be_declined_and_withdrawn(house: House) -> None:
    path = booked(house.anna)
    other = {"start_date": "2026-03-25", "start_time": "10:00", "end_date": "2026-03-25", "end_time": "12:00"}
    step(house.mia, path, "propose", **other)
    assert "the reservation stays as it was" in step(house.anna, path, "refuse").text
    step(house.mia, path, "propose", **other)
    assert "Withdrawn." in step(house.mia, path, "withdraw").text
    assert "Another time is proposed" not in house.anna.get(path).text


def test_a_question_and_its_answer_stand_in_the_thread(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "message", text="How much heat?")
    answered = step(house.anna, path, "message", text="2 kW\n<b>no</b> gas")
    assert "Mia · the lab" in answered.text
    assert "How much heat?" in answered.text
    assert "&lt;b&gt;no&lt;/b&gt; gas" in answered.html
    assert "This is needed." in step(house.anna, path, "message", text="  ").text


def test_the_lab_cancels_and_names_the_cause(house: House) -> None:
    path = booked(house.anna, "scope")
    assert 'name="cause"' not in house.anna.get(path).html
    page = step(house.mia, path, "cancel", cause="fault", reason="Compressor")
    assert "Cancelled." in page.text
    assert "cause: a fault" in page.text


def test_a_user_cannot_blame_the_lab(house: House) -> None:
    path = booked(house.anna, "scope")
    assert (
        "Only the laboratory's staff may name that cause."
        in step(house.anna, path, "cancel", cause="lab").text
    )


def test_move_resize_and_retitle_at_once_where_nobody_has_to_agree(house: House) -> None:
    path = booked(house.anna, "scope")
    page = step(
        house.anna,
        path,
        "change",
        title="Ripple again",
        start_date="2026-03-24",
        start_time="13:00",
        end_date="2026-03-24",
        end_time="16:00",
    )
    assert "Changed." in page.text
    assert "13:00–16:00 (3 h)" in page.text
    assert "Ripple again" in page.text


def test_other_equipment_is_a_change_too(house: House) -> None:
    path = booked(house.anna, "scope")
    page = step(house.anna, path, "change", equipment=["scope-2", ""], places=["1", "1"])
    assert '<a href="/equipment/scope-2">Scope 2</a>' in page.html
    assert "other equipment" in page.text


def test_a_change_that_collides_keeps_what_was_typed_and_says_with_what(house: House) -> None:
    booked(house.bo, "scope", start_time="14:00", end_time="15:00")
    path = booked(house.anna, "scope")
    page = step(house.anna, path, "change", title="New words", end_date="2026-03-24", end_time="14:30")
    assert page.status == 409
    assert "Scope is taken" in page.text
    assert page.value("title") == "New words"


def test_a_transfer_makes_a_colleague_the_holder(house: House) -> None:
    path = booked(house.anna, "scope")
    assert (
        "There is nobody with the address" in step(house.anna, path, "transfer", to="carla@beta.example").text
    )
    page = step(house.anna, path, "transfer", to="bo@alpha.example")
    assert "Bo, Alpha requested by Anna" in page.text
    assert "transferred · Anna · to Bo" in page.text


def test_what_runs_is_extended_by_minutes_or_until_a_time(house: House) -> None:
    path = house.anna.post("/equipment/scope/use-now", minutes="60").location
    assert "09:00–10:30" in step(house.anna, path, "extend", minutes="30").text
    assert "09:00–14:00" in step(house.anna, path, "extend", until_date="2026-03-23", until_time="14:00").text
    assert (
        "An extension must end after"
        in step(house.anna, path, "extend", until_date="2026-03-23", until_time="13:00").text
    )


def test_a_manager_aborts_with_a_reason(house: House) -> None:
    path = house.anna.post("/equipment/scope/use-now", minutes="60").location
    assert not house.anna.get(path).offers("abort")
    assert "Please give a reason." in step(house.mia, path, "abort").text
    assert "Aborted." in step(house.mia, path, "abort", reason="Smoke").text


def test_check_in_too_early_says_from_when(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "approve")
    page = step(house.anna, path, "check-in")
    assert page.status == 422
    assert "Checking in is possible from Tue 24 Mar, 09:30" in page.text


def test_another_organisation_finds_nothing_at_its_address(house: House) -> None:
    path = booked(house.anna)
    assert house.carla.get(path).status == 404
    assert house.carla.post(f"{path}/cancel").status == 404
    assert house.carla.get("/reservations/0123456789abcdef").status == 404


def test_a_member_of_the_project_sees_it_and_may_not_decide(house: House) -> None:
    path = booked(house.anna, project="joint")
    page = house.dorte.get(path)
    assert page.status == 200
    assert not any(page.offers(name) for name in ("cancel", "change", "approve", "message"))
    assert house.dorte.post(f"{path}/cancel").status == 403


def test_somebody_elses_time_is_a_busy_block_on_the_strip(house: House) -> None:
    booked(house.carla, "scope", title="Secret of Beta", start_time="13:00", end_time="14:00")
    page = house.anna.get(booked(house.anna, "scope"))
    assert 'data-status="busy"' in page.html
    assert "Secret of Beta" not in page.html
    assert "Carla" not in page.html


def test_a_form_read_before_somebody_elses_change_keeps_its_words_and_says_what_changed(house: House) -> None:
    path = booked(house.anna)
    stale = house.bo  # of the same organisation: sees it, may not change it
    assert stale.get(path).status == 200
    shown = house.anna.get(path)
    house.clock.move_to(NOW + timedelta(minutes=5))
    step(house.mia, path, "change", start_date="2026-03-24", start_time="09:00")
    form = {
        "revision": shown.value("revision"),
        "seen": shown.value("seen"),
        "title": "My new title",
        "was_title": "Damp heat",
        "notes": "typed for long",
        "was_notes": "",
        "start_date": "2026-03-24",
        "start_time": "10:00",
        "was_start_date": "2026-03-24",
        "was_start_time": "10:00",
    }
    page = house.anna.post(f"{path}/change", **form)
    assert page.status == 412
    assert "Somebody changed this since you opened it." in page.text
    assert "Mia – moved; start Tue 24 Mar, 10:00 → Tue 24 Mar, 09:00" in page.text
    assert (page.value("title"), page.value("notes")) == ("My new title", "typed for long")
    # What they had not touched is shown as it is now, so that sending it again does not undo Mia's move.
    assert page.value("start_time") == "09:00"
    assert page.value("revision") != shown.value("revision")


def test_a_step_on_what_moved_on_meanwhile_says_so(house: House) -> None:
    path = booked(house.anna)
    step(house.mia, path, "approve")
    late = house.max.post(f"{path}/decline", reason="No")
    assert late.status == 409
    assert "it has moved on meanwhile" in late.text
    assert "approved" in late.text


def test_bad_input_to_a_step_is_answered_in_words(house: House) -> None:
    path = booked(house.anna, "scope")
    for form, words in [
        ({"end_date": "2026-03-24", "end_time": "09:00"}, "The end must be after the start."),
        ({"start_date": "2026-03-29", "start_time": "02:30"}, "02:30 does not exist on this day"),
        ({"end_date": "2026-10-25", "end_time": "02:30"}, "02:30 happens twice on this day"),
        ({"title": "x" * 100_000}, "At most 300 characters"),
        ({"title": "bell \x07"}, "Control characters"),
        ({"title": " "}, "This is needed."),
        ({"equipment": "unheard-of"}, "There is no equipment “unheard-of”."),
        ({"project": "unheard-of"}, "There is no project “unheard-of”"),
    ]:
        page = step(house.anna, path, "change", **form)
        assert page.status == 422
        assert words in page.text


def test_my_reservations_are_listed_by_whose_they_are(house: House) -> None:
    booked(house.anna, "scope", title="Of Anna")
    booked(house.bo, "scope-2", title="Of Bo")
    booked(house.carla, "cycler", title="Of Carla")
    assert (
        "Of Anna" in house.anna.get("/reservations").text,
        "Of Bo" in house.anna.get("/reservations").text,
    ) == (
        True,
        False,
    )
    ours = house.anna.get("/reservations", of="organisation").text
    assert "Of Bo" in ours
    assert "Of Carla" not in ours
    assert "Of Carla" in house.mia.get("/reservations", of="all").text
    assert "Of Carla" not in house.anna.get("/reservations", of="all").text


def test_a_list_is_searched_by_title_and_by_equipment(house: House) -> None:
    booked(house.anna, "scope", title="Ripple 100%")
    booked(house.anna, "cycler", title="Formation")
    assert "Formation" not in house.anna.get("/reservations", q="ripple 100%").text
    assert "Formation" in house.anna.get("/reservations", q="CYCL").text
    assert "None match." in house.anna.get("/reservations", q="%_").text


def test_a_long_list_is_paged_and_nothing_repeats(house: House) -> None:
    for n in range(52):
        hour, quarter = divmod(n, 4)
        start, end = (
            f"{hour + 10:02}:{quarter * 15:02}",
            f"{hour + 10 + (quarter == 3):02}:{(quarter + 1) * 15 % 60:02}",
        )
        booked(house.anna, "scope", title=f"Number {n:02}", start_time=start, end_time=end)
    first = house.anna.get("/reservations")
    following = re.search(r'rel="next" href="([^"]*)"', first.html)
    assert following is not None
    second = house.anna.get(following[1].replace("&amp;", "&"))
    titles = [re.findall(r"Number \d\d", page.text) for page in (first, second)]
    assert [len(found) for found in titles] == [50, 2]
    assert len({*titles[0], *titles[1]}) == 52


@pytest.mark.parametrize("query", [{"after": "x"}, {"after": "2026-03-24T10:00:00_9"}, {"of": "x"}])
def test_an_address_that_nobody_gave_out_is_harmless(house: House, query: dict[str, str]) -> None:
    assert house.anna.get("/reservations", **query).status == 200


def test_a_null_character_is_nobodys_name(house: House) -> None:
    path = booked(house.anna, "scope")
    assert house.anna.get("/reservations", q="\x00").status == 200
    assert house.anna.get("/book", equipment="\x00", environment="\x00", title="\x00").status == 200
    assert house.anna.get("/reservations/\x00").status == 400
    assert house.anna.post("/equipment/\x00/use-now").status == 400
    for field in ("equipment", "environment", "project", "holder", "participants", "activity"):
        asked = {"title": "x", "start_date": "2026-03-25", "start_time": "10", "duration": "1", field: "\x00"}
        assert house.anna.post("/book", **asked).status == 422
    for name, form in [
        ("change", {"equipment": "\x00"}),
        ("change", {"project": "\x00"}),
        ("transfer", {"to": "\x00"}),
    ]:
        assert step(house.anna, path, name, **form).status == 422


def test_a_list_that_does_not_exist_is_not_found(house: House) -> None:
    assert house.anna.get("/reservations", show="x").status == 404


MAY_TRY = {
    "approve": "mia max ada",
    "accept": "mia max ada",
    "decline": "mia max ada",
    "refuse": "mia max ada",
    "cancel": "anna mia max ada",
    "check-in": "anna mia max tom ada",
    "check-out": "anna mia max tom ada",
    "abort": "mia max ada",
    "extend": "anna mia max tom ada",
    "transfer": "anna mia max ada",
    "message": "anna mia max tom ada",
    "change": "anna mia max ada",
    "propose": "mia max ada",
    "draws": "mia max ada",
    "withdraw": "anna mia max ada",
    "permit": "mia max ada",
    "visits": "anna mia max tom ada",
    "visits/x/done": "anna mia max tom ada",
    "visits/x/drop": "anna mia max tom ada",
    "visits/x/move": "anna mia max tom ada",
    "pause": "anna mia max tom ada",
    "resume": "anna mia max tom ada",
    "expect": "anna mia max tom ada",
}
"""Who may try each step of anna's request in the joint project; to a holder, accepting is their own."""


@pytest.mark.parametrize("name", ["anna", "bo", "carla", "dorte", "mia", "tom", "ada"])
def test_a_step_is_for_whom_the_table_says(house: House, app: Flask, name: str) -> None:
    path = booked(house.anna, project="joint")
    desk = getattr(house, name)
    refused = 404 if name == "carla" else 403
    routes = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/reservations/<public_id>/")]
    steps = {*reservations.STEPS, "change", "propose", "draws", "withdraw", "visits"}
    steps |= {*long_tests.TEST_STEPS, *(f"visits/x/{each}" for each in long_tests.VISIT_STEPS)}
    assert len(routes) == 6 + len(long_tests.TEST_STEPS) + len(long_tests.VISIT_STEPS)
    assert steps == set(MAY_TRY)
    for one in sorted(steps):
        # Without what the step needs: whoever may try it is told what is missing, and nothing happens.
        form = {"title": " ", "start_date": "x"} if one == "change" else {"reason": "\x07", "cause": "none"}
        status = desk.post(f"{path}/{one}", **form).status
        if name in MAY_TRY[one].split():
            assert status in (404 if "visits/x" in one else 409, 409, 422), one
        elif name == "anna" and one in ("approve", "accept", "decline", "refuse"):
            assert status == 403, one
        else:
            assert status == refused, one


def test_a_manager_states_its_draws_on_the_page_and_nobody_else_is_offered_it(house: House) -> None:
    path = booked(house.anna, "source")
    assert "6 kVA" in house.anna.get(path).text
    assert not house.anna.get(path).offers("draws")
    refused = step(house.mia, path, "draws", **{"draws.feeder-a": "11 kVA", "reason": "Measured"})
    assert "Feeder A would carry 11 kVA" in refused.text
    assert refused.value("draws.feeder-a") == "11 kVA"
    stated = step(house.mia, path, "draws", **{"draws.feeder-a": "4 kVA", "reason": "Measured"})
    assert "4 kVA" in stated.text
    assert "as stated" in stated.text
    assert "draws as reckoned → feeder-a 4 kVA" in stated.text
    back = step(house.mia, path, "draws", **{"draws.feeder-a": "", "reason": "No"})
    assert "as stated" not in back.text
