"""The page at the equipment: on a tablet that is nobody, and on the phone of whoever scans the label."""

from __future__ import annotations

import hashlib
import re

import pytest
from flask import Flask
from flask_login import encode_cookie
from itsdangerous import URLSafeTimedSerializer
from sqlalchemy import select

from labbook.extensions import db
from labbook.models import KioskDevice, Reservation, User
from labbook.services import kiosk_codes, kiosks, sweep
from tests.cast import NOW, Cast, at
from tests.signing import client_of, form_token
from tests.web.house import House, booked, step
from tests.web.people import Page
from tests.web.tablet import Tablet, code_of

SECRETS = re.compile("anna|bo@|alpha|damp heat|joint", re.IGNORECASE)


@pytest.fixture
def house(app: Flask, app_cast: Cast) -> House:
    return House(app, app_cast)


@pytest.fixture
def tablet(app: Flask, house: House) -> Tablet:
    return Tablet(app, house.mia, name="hall")


def approved(house: House, who: str = "anna", **more: str) -> str:
    path = booked(getattr(house, who), **more)
    step(house.mia, path, "approve")
    return path


def status_of(house: House, path: str) -> str:
    found = re.search(r'class="status" data-status="(\w+)"', house.ada.get(path).html.partition("<main")[2])
    assert found is not None
    return found[1]


# --- the tablet ---------------------------------------------------------------------------------------


def test_a_pairing_address_makes_a_tablet_once_and_only_hashes_are_kept(app: Flask, house: House) -> None:
    tablet = Tablet(app, house.mia)
    first = tablet.secret
    assert tablet.get().status == 200
    row = db.session.scalars(select(KioskDevice)).one()
    assert tablet.secret != first
    assert row.token_hash == hashlib.sha256(tablet.secret.encode()).hexdigest()
    other = app.test_client()
    assert other.get(tablet.address).status_code == 404
    other.set_cookie("kiosk", first, path="/kiosk")
    assert other.get("/kiosk/chamber").location == "/sign-in?next=/kiosk/chamber"
    assert tablet.get().status == 200


def test_the_cookie_is_the_kiosks_alone_and_no_scripts(app: Flask, house: House) -> None:
    made = Tablet(app, house.mia)
    cookie = made.client.get("/kiosk/chamber").headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/kiosk;" in cookie + ";"
    assert int(re.findall(r"Max-Age=(\d+)", cookie)[0]) > 365 * 86400


def test_pairing_signs_out_whoever_was(app: Flask, house: House, tablet: Tablet) -> None:
    db.session.rollback()
    made = kiosks.create(db.session(), "scope", "bench", actor=house.cast.mia, now=NOW)
    browser = client_of(app, house.cast.mia)
    with app.test_request_context():
        browser.set_cookie("remember_token", encode_cookie(f"{house.cast.mia.id}.0"))
    assert browser.get("/account").status_code == 200
    assert browser.get(f"/kiosk-key/{made.secret}").status_code == 302
    assert browser.get("/account").location == "/sign-in?next=/account"


def test_a_tablet_stays_one_whoever_signed_in_on_it(house: House, tablet: Tablet) -> None:
    with tablet.client.session_transaction() as session:
        session["_user_id"] = f"{house.cast.mia.id}.0"
    page = tablet.get()
    assert "Your kiosk code" in page.text
    assert "mia" not in page.html.lower()
    assert tablet.post("check-in", reservation="x").status == 422


def test_a_tablet_opens_the_page_of_its_own_equipment_only(tablet: Tablet) -> None:
    assert tablet.get("/kiosk/scope").location == "/sign-in?next=/kiosk/scope"
    assert tablet.get("/reservations").location.startswith("/sign-in")
    assert tablet.client.get("/api/v1/equipment").status_code == 401


def test_a_revoked_tablet_shows_nothing_more(house: House, tablet: Tablet) -> None:
    row = db.session.scalars(select(KioskDevice)).one()
    assert house.tom.post(f"/manage/kiosks/{row.id}/revoke").status == 404
    assert house.mia.post(f"/manage/kiosks/{row.id}/revoke").status == 303
    assert tablet.get().location == "/sign-in?next=/kiosk/chamber"
    assert "hall" not in house.mia.get("/manage/kiosks").text


def test_when_it_was_last_seen_is_noted_but_not_at_every_look(house: House, tablet: Tablet) -> None:
    assert "not paired yet" in house.mia.get("/manage/kiosks").text
    tablet.get()
    db.session.rollback()
    seen = db.session.scalars(select(KioskDevice.last_seen_at)).one()
    house.clock.move_to(at("2026-03-23 09:04"))
    assert "Set-Cookie" not in tablet.client.get(tablet.path).headers
    house.clock.move_to(at("2026-03-23 09:06"))
    tablet.get()
    db.session.rollback()
    assert db.session.scalars(select(KioskDevice.last_seen_at)).one() > seen


@pytest.mark.parametrize(("who", "status"), [("anna", 403), ("tom", 403), ("mia", 200), ("ada", 200)])
def test_tablets_are_the_managers(house: House, who: str, status: int) -> None:
    desk = getattr(house, who)
    assert desk.get("/manage/kiosks").status == status
    assert desk.post("/manage/kiosks", equipment="chamber", name="door").status == status


def test_a_tablet_without_a_name_or_at_nothing_is_refused_beside_the_field(house: House) -> None:
    page = house.mia.post("/manage/kiosks", equipment="nothing", name=" ")
    assert page.status == 422
    assert "There is no equipment “nothing”." in page.text
    assert "This is needed." in page.text


# --- what it shows ------------------------------------------------------------------------------------


def test_of_others_a_tablet_shows_what_a_busy_block_shows(house: House, tablet: Tablet) -> None:
    path = approved(house, project="joint", end_time="13:00")
    house.clock.move_to(at("2026-03-24 10:20"))
    for state in ("approved", "in_use"):
        page = tablet.get()
        assert "Taken until 13:30" in page.text
        assert "Do not open or switch off." in page.text
        assert "hot surfaces" in page.text
        assert "+45 00 00 00 00" in page.text
        body = page.html.partition("<body")[2]
        assert not SECRETS.search(body)
        assert not re.search(rf"{path.rpartition('/')[2]}|requested|approved|in.use|checked in", body)
        if state == "approved":
            step(house.anna, path, "check-in")


def test_free_until_and_who_is_next_come_from_what_is_occupied(house: House, tablet: Tablet) -> None:
    assert "Free" in tablet.get().text
    approved(house)
    page = tablet.get()
    assert "Free until Tue 24 Mar, 09:30" in page.text
    assert "Next: Tue 24 Mar, 09:30 taken until Tue 24 Mar, 12:30" in page.text
    assert not SECRETS.search(page.html.partition("<body")[2])


def test_what_is_the_labs_own_is_shown_in_full_unless_it_is_somebody_elses_project(
    house: House, tablet: Tablet
) -> None:
    approved(house, "dorte", title="Lecture")
    house.clock.move_to(at("2026-03-24 10:20"))
    page = tablet.get()
    assert "Reserved until 12:00 Dorte · Lecture Nobody has checked in yet." in page.text
    house.clock.move_to(at("2026-03-23 09:00"))
    approved(
        house, "dorte", title="Inverter of theirs", project="joint", start_time="13:00", end_time="14:00"
    )
    house.clock.move_to(at("2026-03-24 13:10"))
    page = tablet.get()
    assert "Taken until 14:30" in page.text
    assert "Inverter" not in page.html


def test_somebody_signed_in_sees_there_what_they_see_anywhere(house: House) -> None:
    approved(house, project="joint")
    house.clock.move_to(at("2026-03-24 10:20"))
    for who in ("anna", "bo", "dorte", "tom", "mia"):
        assert "Anna · Damp heat" in getattr(house, who).get("/kiosk/chamber").text, who
    carla = house.carla.get("/kiosk/chamber")
    assert "Taken until 12:30" in carla.text
    assert not SECRETS.search(carla.html)


def test_an_overrun_is_said_and_stays_while_it_stands_there(house: House, tablet: Tablet) -> None:
    path = approved(house, "dorte", title="Lecture")
    house.clock.move_to(at("2026-03-24 10:00"))
    step(house.dorte, path, "check-in")
    reservation = path.rpartition("/")[2]
    db.session.rollback()
    db.session.connection(execution_options={"labbook_write": True})
    row = db.session.scalars(select(Reservation).where(Reservation.public_id == reservation)).one()
    row.overrun_since = row.ends_at
    db.session.commit()
    house.clock.move_to(at("2026-03-24 13:00"))
    page = tablet.get()
    assert 'data-look="overrun"' in page.html
    assert "It should have ended at 12:00" in page.text
    assert "Dorte · Lecture" in page.text


def test_every_place_is_shown_by_itself(app: Flask, house: House) -> None:
    tablet = Tablet(app, house.mia, "cycler")
    booked(house.anna, "cycler", places="2")
    booked(house.carla, "cycler", start_time="11:00")
    house.clock.move_to(at("2026-03-24 10:20"))
    page = tablet.get()
    assert page.html.count('data-look="busy"') == 2
    assert page.html.count('data-look="free"') == 2
    assert "Place 3 Free until 11:00 Next: 11:00 taken until 12:00" in page.text
    mine = house.anna.get("/kiosk/cycler")
    assert (mine.html.count('data-look="busy"'), mine.text.count("Anna · Damp heat")) == (0, 2)


def test_signed_out_and_without_a_tablet_one_signs_in_first(app: Flask, app_cast: Cast) -> None:
    stranger = app.test_client()
    assert stranger.get("/kiosk/chamber").location == "/sign-in?next=/kiosk/chamber"
    assert stranger.get("/kiosk/nothing").location == "/sign-in?next=/kiosk/nothing"
    assert client_of(app, app_cast.anna).get("/kiosk/nothing").status_code == 404


def test_it_renews_itself_also_without_script(tablet: Tablet) -> None:
    page = tablet.get()
    assert '<noscript><meta http-equiv="refresh" content="20; url=/kiosk/chamber"></noscript>' in page.html
    assert "No connection." in page.html
    assert tablet.client.get(tablet.path).headers["Cache-Control"] == "no-store"


# --- steps on the tablet ------------------------------------------------------------------------------


def test_a_code_checks_in_and_out_and_the_tablet_forgets_whose_it_was(house: House, tablet: Tablet) -> None:
    path = approved(house)
    code = code_of(house.cast.anna)
    house.clock.move_to(at("2026-03-24 09:40"))
    page = tablet.step("check-in", kiosk_code=f" {code[:4].lower()}-{code[4:]} ")
    assert "Checked in." in page.text
    assert status_of(house, path) == "in_use"
    with tablet.client.session_transaction() as session:
        assert set(session) <= {"csrf_token", "_flashes", "_fresh"}
    assert code not in page.html
    assert not SECRETS.search(page.html.partition("<body")[2])
    house.clock.move_to(at("2026-03-24 11:00"))
    assert "Handed back." in tablet.step("check-out", kiosk_code=code).text
    assert status_of(house, path) == "completed"
    assert "Free" in tablet.get().text


def test_a_wrong_code_and_one_of_somebody_with_nothing_here_get_the_same_answer(
    house: House, tablet: Tablet
) -> None:
    approved(house)
    house.clock.move_to(at("2026-03-24 09:40"))
    codes = ("ZZZZ2222", code_of(house.cast.carla), code_of(house.cast.dorte), "'\"; --", "x" * 500)
    pages = [tablet.post(step, kiosk_code=code) for code in codes for step in ("check-in", "check-out")]
    pages += [tablet.post("check-out", kiosk_code=code_of(house.cast.anna))]
    told = {(page.status, without_tokens(page)) for page in pages if "check-in" in page.html}
    assert {status for status, _ in told} == {422}
    assert len({body for _, body in told}) == 1
    assert "Nothing here can be done with this code now." in pages[0].text


def without_tokens(page: Page) -> str:
    return re.sub(r'(name="(?:csrf_token|typist)" value=|name="csrf-token" content=)"[^"]*"', "", page.html)


def test_a_missing_code_is_said(tablet: Tablet) -> None:
    page = tablet.post("check-in", kiosk_code=" ")
    assert (page.status, "This is needed." in page.text) == (422, True)


def test_the_rules_hold_at_the_tablet_and_it_says_who_can_override(house: House, tablet: Tablet) -> None:
    path = approved(house)
    code = code_of(house.cast.anna)
    page = tablet.post("check-in", kiosk_code=code)
    assert page.status == 422
    assert "Nothing here can be done" in page.text  # more than a day ahead
    house.clock.move_to(at("2026-03-23 12:00"))
    page = tablet.post("check-in", kiosk_code=code)
    assert (page.status, "Checking in is possible from Tue 24 Mar, 09:30" in page.text) == (422, True)
    assert status_of(house, path) == "approved"
    assert code not in page.html


def test_staff_check_somebody_in_with_their_own_code(house: House, tablet: Tablet) -> None:
    path = approved(house)
    house.clock.move_to(at("2026-03-24 09:40"))
    assert "Checked in." in tablet.step("check-in", kiosk_code=code_of(house.cast.tom)).text
    assert status_of(house, path) == "in_use"


def test_where_several_are_possible_the_place_decides(app: Flask, house: House) -> None:
    tablet = Tablet(app, house.mia, "cycler")
    paths = [booked(house.anna, "cycler"), booked(house.carla, "cycler")]
    house.clock.move_to(at("2026-03-24 10:10"))
    db.session.rollback()
    sweep.sweep(db.session(), now=at("2026-03-24 10:05"))
    code = code_of(house.cast.tom)
    asked = tablet.post("check-out", kiosk_code=code)
    assert (asked.status, "choose the place" in asked.text) == (422, True)
    assert "Handed back." in tablet.step("check-out", kiosk_code=code, place="2").text
    assert [status_of(house, path) for path in paths] == ["in_use", "completed"]
    assert "Nothing here can be done" in tablet.post("check-out", kiosk_code=code, place="9").text


def test_guessing_codes_is_slowed_down_for_a_tablet(app: Flask, house: House, tablet: Tablet) -> None:
    path = approved(house)
    house.clock.move_to(at("2026-03-24 09:40"))
    tablet.get()
    answers = [tablet.post("check-in", kiosk_code=f"ZZZZ22{n:02}").status for n in range(12)]
    assert answers == [422] * 10 + [429] * 2
    assert tablet.post("check-in", kiosk_code=code_of(house.cast.anna)).status == 429
    assert status_of(house, path) == "approved"
    assert tablet.get().status == 200


def test_what_is_typed_right_does_not_count_as_guessing(house: House, tablet: Tablet) -> None:
    approved(house)
    code = code_of(house.cast.anna)
    house.clock.move_to(at("2026-03-23 12:00"))
    assert {tablet.post("check-in", kiosk_code=code).status for _ in range(15)} == {422}


# --- on a phone ---------------------------------------------------------------------------------------


def test_one_tap_checks_in_and_another_hands_back(house: House) -> None:
    path = approved(house)
    house.clock.move_to(at("2026-03-24 10:05"))
    page = house.anna.get("/kiosk/chamber")
    form = {"reservation": page.value("reservation") or ""}
    done = house.anna.post("/kiosk/chamber/check-in", **form)
    assert done.location == "/kiosk/chamber"
    assert "Checked in." in house.anna.get("/kiosk/chamber").text
    assert house.anna.post("/kiosk/chamber/check-out", **form).status == 303
    assert status_of(house, path) == "completed"


def test_who_may_not_is_offered_nothing_and_refused(house: House) -> None:
    path = approved(house)
    house.clock.move_to(at("2026-03-24 10:05"))
    for who, status in (("carla", 404), ("bo", 403)):
        desk = getattr(house, who)
        assert 'class="button primary kiosk-tap"' not in desk.get("/kiosk/chamber").html
        one = path.rpartition("/")[2]
        assert desk.post("/kiosk/chamber/check-in", reservation=one).status == status
    assert status_of(house, path) == "approved"


def test_a_step_of_somebody_signed_out_leads_to_signing_in_and_keeps_no_code(
    app: Flask, app_cast: Cast
) -> None:
    stranger = app.test_client()
    with stranger.session_transaction() as session:
        session["csrf_token"] = "a test's"
    form = {"csrf_token": form_token(app), "kiosk_code": "ZZZZ2222"}
    answer = stranger.post("/kiosk/chamber/check-in", data=form)
    assert answer.status_code == 401
    sealed = Page(answer).value("kept") or ""
    kept = URLSafeTimedSerializer(app.secret_key or "", salt="kept form").loads(sealed)
    assert "ZZZZ2222" not in repr(kept)


# --- the code -----------------------------------------------------------------------------------------


def test_a_code_is_shown_once_replaced_and_removed(house: House) -> None:
    shown = [house.anna.post("/account/kiosk-code") for _ in range(2)]
    codes = [re.findall(r"<code[^>]*>([^<]+)</code>", page.html)[0].replace(" ", "") for page in shown]
    assert all(re.fullmatch(f"[{kiosk_codes.ALPHABET}]{{8}}", code) for code in codes)
    db.session.rollback()
    kept = db.session.scalar(select(User.kiosk_code_hash).where(User.id == house.cast.anna.id))
    assert kept == hashlib.sha256(codes[1].encode()).hexdigest()
    assert kiosk_codes.whose(db.session(), codes[0], now=NOW) is None
    found = kiosk_codes.whose(db.session(), codes[1], now=NOW)
    assert found is not None
    assert found.id == house.cast.anna.id
    assert codes[1] not in house.anna.get("/account").html.replace(" ", "")
    house.anna.post("/account/kiosk-code/remove")
    db.session.rollback()
    assert kiosk_codes.whose(db.session(), codes[1], now=NOW) is None


def test_somebody_deactivated_has_no_code(house: House) -> None:
    code = code_of(house.cast.dorte)
    assert house.ada.post(f"/manage/users/{house.cast.dorte.id}/deactivate").status == 303
    assert kiosk_codes.whose(db.session(), code, now=NOW) is None
