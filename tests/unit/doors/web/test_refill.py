from __future__ import annotations

from troth.doors.web.refill import refilled

PAGE = """<!doctype html>
<html><body><!-- c --><form method="get" action="/a"><input name="q" value="old"></form>
<form method="post" action="/a"><input type="hidden" name="token" value="ours"><input name="q" value="old">
<input type="checkbox" name="sure" value="yes" checked><input type="radio" name="way" value="one" checked>
<input type="radio" name="way" value="two"><input type="file" name="file">
<select name="role"><option value="x">X</option>
<option value="y" selected>Y</option></select><textarea name="reason">before</textarea>&amp; after</form>
<form method="post" action="/b"><input name="q" value="old"></form></body></html>"""


def test_what_was_typed_stands_in_its_own_form_and_nowhere_else() -> None:
    typed = {"q": 'a"<b', "way": "two", "role": "x", "reason": "</textarea><script>", "token": "theirs", "file": "f"}
    told = refilled(PAGE, "/a", typed)
    assert told.count('value="old"') == 2
    assert 'name="q" value="a&quot;&lt;b">' in told
    assert 'name="token" value="ours">' in told, "what is ours stays ours"
    assert '<input type="checkbox" name="sure" value="yes">' in told
    assert '<input type="radio" name="way" value="two" checked>' in told
    assert '<input type="radio" name="way" value="one">' in told
    assert '<option value="x" selected>X' in told
    assert '<option value="y">Y' in told
    assert ">\n&lt;/textarea&gt;&lt;script&gt;</textarea>&amp; after" in told
    assert "before" not in told
    assert '<input type="file" name="file">' in told


def test_a_page_without_the_form_stays_as_it_is() -> None:
    assert refilled(PAGE, "/nowhere", {"q": "x"}) == PAGE
