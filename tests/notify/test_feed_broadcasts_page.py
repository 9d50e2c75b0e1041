"""docs/broadcasts.md keeps its word: the test vector, the code for subscribers, the CAP example.

Usage: test_feed_broadcasts_page.py DESG   (the program)
"""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

TOP = pathlib.Path(__file__).resolve().parents[2]
PAGE = (TOP / "docs" / "broadcasts.md").read_text(encoding="utf-8")
sys.path[:0] = [str(TOP / "tests" / "lib" / "outward" / "schemas")]
import valid  # noqa: E402


def block(kind):
    found = re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.M | re.S)
    assert len(found) == 1, kind
    return found[0]


VECTOR = dict(re.findall(r"^(\w+): +(.*)$", block("vector"), re.M))


class Page(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.secret = self.write("secret", VECTOR["secret"] + "\n")

    def write(self, name, text, mode=0o600):
        path = pathlib.Path(self.folder.name) / name
        path.write_text(text, encoding="utf-8")
        path.chmod(mode)
        return path

    def verify(self, body=VECTOR["body"], timestamp=VECTOR["timestamp"], signature=VECTOR["signature"], secret=None, words=()):
        arguments = ["verify", "--secret-file", str(secret or self.secret), "--timestamp", timestamp, "--signature", signature, *words]
        return subprocess.run([DESG, *arguments], input=body.encode(), capture_output=True, timeout=30, check=False)

    def test_the_vector_is_genuine_to_the_command(self):
        done = self.verify()
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(b"genuine: signed 2026-02-11T18:12:00.000Z", done.stdout)
        path = self.write("body.json", VECTOR["body"])
        self.assertEqual(self.verify(body="", words=[str(path)]).returncode, 0)

    def test_whatever_is_changed_is_not(self):
        other = self.write("other", "another secret")
        for change in ({"body": VECTOR["body"] + "\n"}, {"body": ""}, {"timestamp": "1770833521"}, {"timestamp": "01770833520"},
                       {"signature": "sha256=" + "0" * 64}, {"secret": other}):
            with self.subTest(change):
                done = self.verify(**change)
                self.assertEqual(done.returncode, 65)
                self.assertIn(b"not genuine", done.stderr)
                self.assertNotIn(b"genuine: signed", done.stdout)

    def test_what_is_malformed_says_what_to_write(self):
        for change, word in (({"timestamp": "yesterday"}, b"X-Desk-Timestamp"), ({"timestamp": ""}, b"X-Desk-Timestamp"),
                             ({"timestamp": "1" * 13}, b"X-Desk-Timestamp"), ({"signature": VECTOR["signature"][7:]}, b"sha256="),
                             ({"signature": "sha256=abc"}, b"64 hex"), ({"signature": "sha1=" + "0" * 40}, b"sha256=")):
            with self.subTest(change):
                done = self.verify(**change)
                self.assertEqual(done.returncode, 64)
                self.assertIn(word, done.stderr)

    def test_what_cannot_be_read_has_codes_of_its_own(self):
        self.assertEqual(self.verify(secret="/no/such/file").returncode, 78)
        self.assertEqual(self.verify(words=["/no/such/body"]).returncode, 71)
        self.assertEqual(self.verify(secret=self.write("open", "readable by all", 0o644)).returncode, 78)

    def test_json_says_the_same(self):
        done = subprocess.run([DESG, "--json", "verify", "--secret-file", str(self.secret), "--timestamp", VECTOR["timestamp"], "--signature",
                               VECTOR["signature"]], input=VECTOR["body"].encode(), capture_output=True, timeout=30, check=False)
        self.assertEqual(done.returncode, 0)
        self.assertIn(b'"genuine": true', done.stdout.replace(b'":', b'": ').replace(b'":  ', b'": '))

    def test_the_code_for_subscribers_takes_the_vector_and_no_other(self):
        names = {}
        exec(compile(block("python verify"), "broadcasts.md", "exec"), names)  # our own page
        given = [VECTOR["secret"].encode(), VECTOR["timestamp"], VECTOR["signature"], VECTOR["body"].encode()]
        now = int(VECTOR["timestamp"])
        self.assertTrue(names["is_genuine"](*given, now=now + 299))
        self.assertFalse(names["is_genuine"](*given, now=now + 301))
        self.assertFalse(names["is_genuine"](*given[:3], given[3] + b" ", now=now))
        self.assertFalse(names["is_genuine"](given[0], "now", *given[2:], now=now))

    def test_the_code_for_consumers_is_whole(self):
        compile(block("python consumer"), "broadcasts.md", "exec")

    def test_the_cap_example_is_valid(self):
        self.assertEqual(valid.faults("cap", block("xml cap")), "")


if __name__ == "__main__":
    DESG = sys.argv.pop(1)
    os.environ.pop("DESG_CONFIG", None)
    unittest.main(verbosity=1)
