"""junit_count - prints "passed failed skipped" of a JUnit file written by ctest or pytest."""
import sys
import xml.etree.ElementTree


def count(path):
    passed = failed = skipped = 0
    for case in xml.etree.ElementTree.parse(path).iter("testcase"):
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif case.get("status") == "notrun":  # ctest: the program is not there
            failed += 1
        elif case.find("skipped") is not None or case.get("status") == "disabled":
            skipped += 1
        else:
            passed += 1
    return passed, failed, skipped


if __name__ == "__main__":
    print(*count(sys.argv[1]))
