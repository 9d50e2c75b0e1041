"""What the feeds say of the sample broadcasts, read as their consumers read it.

Usage: test_feed_documents.py PROGRAM   (test_feed_documents_write)
The grammars are in schemas/.
"""
import pathlib
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree as ET

CAP = "{urn:oasis:names:tc:emergency:cap:1.2}"
ATOM = "{http://www.w3.org/2005/Atom}"
LANG = "{http://www.w3.org/XML/1998/namespace}lang"
SIT = "{http://datex2.eu/schema/3/situation}"
COM = "{http://datex2.eu/schema/3/common}"
LOC = "{http://datex2.eu/schema/3/locationReferencing}"
XSI_TYPE = "{http://www.w3.org/2001/XMLSchema-instance}type"
sys.path[:0] = [str(pathlib.Path(__file__).parent / "schemas")]
import valid  # noqa: E402

BASE = "https://alerts.gwent.example/desk"
ROAD, UPDATED, REOPENED, EXPIRED, PLANNED, INCIDENT, ADVICE, APPEAL, WITHDRAWN = range(9)
DATEX_ORDER = ("situationRecordCreationTime", "situationRecordVersionTime", "probabilityOfOccurrence", "severity", "validity",
               "generalPublicComment", "locationReference", "complianceOption", "roadOrCarriagewayOrLaneManagementType")


class FeedDocuments(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        subprocess.run([PROGRAM, cls.folder.name], check=True, timeout=30)

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def path(self, name):
        return pathlib.Path(self.folder.name) / name

    def cap(self, sample):
        return ET.parse(self.path(f"{sample}.cap.xml")).getroot()

    def datex(self):
        root = ET.parse(self.path("all.datex.xml")).getroot()
        return {int(part.get("id")[2:4], 16): part for part in root.findall(SIT + "situation")}

    def entries(self, language):
        root = ET.parse(self.path(f"{language}.atom.xml")).getroot()
        return {int(part.find(ATOM + "id").text.split("/cap/")[1][2:4], 16): part for part in root.findall(ATOM + "entry")}

    # --- CAP ---

    def test_every_cap_message_is_valid(self):
        paths = sorted(pathlib.Path(self.folder.name).glob("*.cap.xml"))
        self.assertEqual(len(paths), 9)
        self.assertEqual(valid.faults("cap", *(path.read_bytes() for path in paths)), "")

    def test_the_grammar_refuses_what_cap_forbids(self):
        good = self.path("0.cap.xml").read_text(encoding="utf-8")
        for before, after in (("-00:00</sent>", "Z</sent>"), ("-00:00</sent>", ".500-00:00</sent>"), ("-00:00</sent>", ",00:00</sent>"),
                              ("<status>Actual</status>", ""), ("<category>Transport</category>", "<category>Roads</category>"),
                              ("<event>Road closed</event>", "<event/>"), ("-1</identifier>", " 1</identifier>"), ("</polygon>", " 95.0,1.0</polygon>"),
                              ("<certainty>Observed</certainty>", "<certainty>Very Likely</certainty>")):
            with self.subTest(after):
                self.assertIn(before, good)
                self.assertNotEqual(valid.faults("cap", good.replace(before, after)), "")

    def test_one_info_for_each_language_with_the_same_meaning(self):
        infos = self.cap(ROAD).findall(CAP + "info")
        self.assertEqual([info.find(CAP + "language").text for info in infos], ["en-GB", "cy-GB"])
        for name in ("category", "responseType", "urgency", "severity", "certainty", "onset", "expires"):
            self.assertEqual(len({info.find(CAP + name).text for info in infos}), 1, name)
        self.assertEqual([info.find(CAP + "event").text for info in infos], ["Road closed", "Ffordd ar gau"])
        self.assertEqual([info.find(CAP + "headline").text for info in infos],
                         ["A55 closed eastbound J11 to J12", "Yr A55 ar gau tua'r dwyrain C11 i C12"])
        self.assertEqual(infos[1].find(f"{CAP}area/{CAP}areaDesc").text, "A55 tua'r dwyrain C11 i C12")

    def test_the_first_version_is_an_alert_and_refers_to_nothing(self):
        root = self.cap(ROAD)
        self.assertEqual(root.find(CAP + "msgType").text, "Alert")
        self.assertIsNone(root.find(CAP + "references"))
        self.assertEqual(root.find(CAP + "sent").text, "2026-02-11T17:12:00-00:00")
        self.assertEqual(root.find(f"{CAP}info/{CAP}area/{CAP}polygon").text,
                         "53.226100,-4.128000 53.227000,-4.101000 53.221000,-4.101000 53.220000,-4.128000 53.226100,-4.128000")

    def test_an_update_names_every_version_that_went_out_before(self):
        root = self.cap(UPDATED)
        self.assertEqual(root.find(CAP + "msgType").text, "Update")
        self.assertEqual(root.find(CAP + "references").text, "desk@gwent.example,d501000000000000000000000000007f-1,2026-02-11T15:12:00-00:00")
        self.assertEqual(root.find(f"{CAP}info/{CAP}area/{CAP}circle").text, "53.226100,-4.128000 1.250")

    def test_what_has_reopened_is_an_update_that_says_all_clear(self):
        root = self.cap(REOPENED)
        self.assertEqual(root.find(CAP + "identifier").text, "d502000000000000000000000000007f-2-end")
        self.assertEqual(root.find(CAP + "msgType").text, "Update")
        self.assertEqual([part.split(",")[1][-2:] for part in root.find(CAP + "references").text.split()], ["-1", "-2"])
        info = root.findall(CAP + "info")[1]
        self.assertEqual(info.find(CAP + "responseType").text, "AllClear")
        self.assertEqual(info.find(CAP + "urgency").text, "Past")
        self.assertEqual(info.find(CAP + "headline").text, "Mae'r A55 wedi ailagor i'r ddau gyfeiriad.")
        self.assertLess(root.find(CAP + "sent").text, info.find(CAP + "expires").text)

    def test_what_expires_without_a_word_claims_no_all_clear(self):
        root = self.cap(EXPIRED)
        self.assertEqual(root.find(CAP + "msgType").text, "Alert")
        self.assertEqual(root.find(f"{CAP}info/{CAP}responseType").text, "Avoid")
        self.assertTrue(root.find(CAP + "identifier").text.endswith("-1"))

    def test_a_cancel_keeps_its_info_and_asks_for_nothing(self):
        root = self.cap(ADVICE)
        self.assertEqual(root.find(CAP + "msgType").text, "Cancel")
        self.assertTrue(root.find(CAP + "references").text.endswith("-1,2026-02-11T17:12:00-00:00"))
        infos = root.findall(CAP + "info")
        self.assertEqual([info.find(CAP + "language").text for info in infos], ["en-GB"])  # the Welsh is owed
        self.assertEqual(infos[0].find(CAP + "responseType").text, "None")
        self.assertEqual(infos[0].find(CAP + "headline").text, "CANCELLED: Lock your vans")
        self.assertEqual(infos[0].find(f"{CAP}area/{CAP}areaDesc").text, "Gwent Police (example)")

    def test_text_arrives_as_it_was_but_for_what_xml_cannot_carry(self):
        info = self.cap(INCIDENT).find(CAP + "info")
        self.assertEqual(info.find(CAP + "headline").text, 'Fire & smoke <"Bryn"> ]]> keep away')
        self.assertEqual(info.find(CAP + "description").text, "A bell\N{REPLACEMENT CHARACTER}, a bad byte \N{REPLACEMENT CHARACTER}, an escape "
                         "\N{REPLACEMENT CHARACTER}[1m, DEL \N{REPLACEMENT CHARACTER}, 🚒 & a line\nbreak.")
        self.assertEqual(info.find(CAP + "instruction").text, "Doors & windows shut; &amp; is no entity here.")
        self.assertEqual(info.find(CAP + "certainty").text, "Unknown")

    # --- Atom ---

    def test_every_feed_is_valid(self):
        for name in ("en.atom.xml", "cy.atom.xml", "empty.atom.xml"):
            self.assertEqual(valid.faults("atom", self.path(name).read_bytes()), "")
        self.assertIn("<updated>2026-02-11T00:00:00Z</updated>", self.path("empty.atom.xml").read_text(encoding="utf-8"))

    def test_the_grammar_refuses_what_atom_forbids(self):
        good = self.path("en.atom.xml").read_text(encoding="utf-8")
        for before, after in (("<title>Gwent alerts</title>", ""), ("<author>", "<author><x/>"), ('rel="self"', 'rel="other"'),
                              ("<updated>2026-02-11T18:12:00Z</updated>", "<updated>yesterday</updated>"), ('type="text"', 'type="xhtml"')):
            with self.subTest(after):
                self.assertIn(before, good)
                self.assertNotEqual(valid.faults("atom", good.replace(before, after)), "")

    def test_each_entry_leads_to_its_cap_file(self):
        for language in ("en", "cy"):
            entries = self.entries(language)
            self.assertEqual(len(entries), 9)
            for sample, entry in entries.items():
                identifier = self.cap(sample).find(CAP + "identifier").text
                self.assertEqual(entry.find(ATOM + "link").get("href"), f"{BASE}/cap/{identifier}.xml")
                self.assertEqual(entry.find(ATOM + "link").get("type"), "application/cap+xml")

    def test_each_language_has_its_feed_and_welsh_readers_are_never_left_out(self):
        self.assertEqual(self.entries("en")[ROAD].find(ATOM + "title").text, "A55 closed eastbound J11 to J12")
        self.assertEqual(self.entries("cy")[ROAD].find(ATOM + "title").text, "Yr A55 ar gau tua'r dwyrain C11 i C12")
        owed = self.entries("cy")[ADVICE]
        self.assertEqual(owed.get(LANG), "en-GB")
        self.assertEqual(owed.find(ATOM + "title").text, "CANCELLED: Lock your vans")
        self.assertIsNone(self.entries("cy")[ROAD].get(LANG))
        self.assertEqual(ET.parse(self.path("cy.atom.xml")).getroot().get(LANG), "cy-GB")

    def test_what_is_over_says_so_in_its_title(self):
        self.assertEqual(self.entries("en")[REOPENED].find(ATOM + "title").text, "The A55 has now reopened.")
        self.assertEqual(self.entries("en")[EXPIRED].find(ATOM + "title").text, "No longer current: A55 closed eastbound J11 to J12")
        self.assertNotIn("Use another route.", self.entries("en")[EXPIRED].find(ATOM + "content").text)

    # --- DATEX II ---

    def test_records_keep_the_order_of_the_schema(self):
        for situation in self.datex().values():
            record = situation.find(SIT + "situationRecord")
            self.assertEqual(record.get(XSI_TYPE), "sit:RoadOrCarriagewayOrLaneManagement")
            self.assertEqual([part.tag for part in record], [SIT + name for name in DATEX_ORDER])
            self.assertEqual([part.tag for part in situation], [SIT + "headerInformation", SIT + "situationRecord"])
            location = record.find(SIT + "locationReference")
            self.assertEqual([part.tag for part in location], [LOC + "supplementaryPositionalDescription", LOC + "pointByCoordinates"])

    def test_only_road_closures_with_a_place_are_in_it(self):
        self.assertEqual(sorted(self.datex()), [ROAD, UPDATED, REOPENED, EXPIRED])

    def test_a_closure_says_how_far_and_how_long(self):
        record = self.datex()[ROAD].find(SIT + "situationRecord")
        self.assertEqual(record.find(SIT + "roadOrCarriagewayOrLaneManagementType").text, "roadClosed")
        self.assertEqual(record.find(f"{SIT}validity/{COM}validityStatus").text, "active")
        self.assertEqual(record.find(f".//{COM}overallEndTime").text, "2026-02-12T00:12:00Z")
        self.assertEqual([value.get("lang") for value in record.iter(COM + "value")], ["en", "cy"])
        self.assertEqual(record.get("version"), "1")
        self.assertAlmostEqual(float(record.find(f".//{LOC}latitude").text), 53.223525, 5)
        updated = self.datex()[UPDATED].find(SIT + "situationRecord")
        self.assertEqual(updated.find(SIT + "roadOrCarriagewayOrLaneManagementType").text, "carriagewayClosures")
        self.assertEqual(updated.find(SIT + "situationRecordCreationTime").text, "2026-02-11T15:12:00Z")

    def test_a_closure_that_is_over_ended_then(self):
        record = self.datex()[REOPENED].find(SIT + "situationRecord")
        self.assertEqual(record.find(SIT + "roadOrCarriagewayOrLaneManagementType").text, "roadCleared")
        self.assertEqual(record.find(f"{SIT}validity/{COM}validityStatus").text, "definedByValidityTimeSpec")
        self.assertEqual(record.find(f".//{COM}overallEndTime").text, "2026-02-11T18:11:58Z")
        self.assertEqual(record.get("version"), "4")
        self.assertEqual(self.datex()[EXPIRED].find(f".//{SIT}roadOrCarriagewayOrLaneManagementType").text, "roadClosed")

    # --- privacy ---

    def test_nothing_internal_is_published(self):
        for path in pathlib.Path(self.folder.name).glob("*.xml"):
            self.assertNotIn("secret", path.read_text(encoding="utf-8").lower(), path.name)

    def test_an_appeal_that_is_over_names_nobody_and_no_place(self):
        self.assertIn("Mair Example", self.path(f"{APPEAL}.cap.xml").read_text(encoding="utf-8"))
        root = self.cap(WITHDRAWN)
        text = self.path(f"{WITHDRAWN}.cap.xml").read_text(encoding="utf-8")
        for word in ("Mair", "pier", "Pier", "circle", "101", "AllClear"):
            self.assertNotIn(word, text)
        self.assertEqual(root.find(f"{CAP}info/{CAP}headline").text, "This appeal has ended. Thank you.")
        for language in ("en", "cy"):
            entry = ET.tostring(self.entries(language)[WITHDRAWN], encoding="unicode")
            self.assertNotIn("Mair", entry)
            self.assertNotIn("ier", entry.replace("Gwent", ""))


if __name__ == "__main__":
    PROGRAM = sys.argv.pop(1)
    unittest.main(verbosity=1)
