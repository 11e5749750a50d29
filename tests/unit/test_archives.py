"""Archives of others: what is in them is unpacked whole, into one folder, or refused with nothing left behind."""

import gzip
import hashlib
import io
import stat
import tarfile
import warnings
import zipfile

import pytest

from softlabels.datasets import archives
from softlabels.datasets.archives import Expected, difference, unpacked
from softlabels.errors import UserError

FILES = {
    "Treeversity#1/fold1/g#0 ä文.png": b"picture",
    "Treeversity#1/fold2/g#0 ä文.png": bytes(range(256)) * 300,
    "Treeversity#1/annotations.json": b"[]",
    "Treeversity#1/empty.txt": b"",
    "Treeversity#1/Empty.txt": b"another file",
}


def zipped(path, members):
    """Write a zip file of (name or ZipInfo, content), exactly as told."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # two members of one name
        for name, content in members:
            info = name if isinstance(name, zipfile.ZipInfo) else zipfile.ZipInfo("x")
            if info is not name:
                info.filename = info.orig_filename = name  # raw: the constructor would clean it
                info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, content)
    return path


def tarred(path, members):
    """Write a tar file of (name or TarInfo, content), exactly as told; gzipped if its name says so."""
    with tarfile.open(path, "w:" + path.suffix[1:].replace("tgz", "gz").replace("tar", "")) as archive:
        for name, content in members:
            info = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


PACK = {"a.zip": zipped, "a.tar": tarred, "a.tar.gz": tarred, "a.tgz": tarred}


def read(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def refusal(archive):
    """The message with which an archive is refused; nothing may be left or written elsewhere."""
    before = {path: path.read_bytes() for path in archive.parent.parent.rglob("*") if path.is_file()}
    with pytest.raises(UserError) as error, unpacked(archive, archive.parent):
        pytest.fail("the archive was unpacked")
    assert {path: path.read_bytes() for path in archive.parent.parent.rglob("*") if path.is_file()} == before
    assert [path.name for path in archive.parent.iterdir()] == [archive.name]
    assert str(archive) in str(error.value)
    return str(error.value)


@pytest.fixture
def place(tmp_path):
    """A folder inside another one: a place to climb out of."""
    (tmp_path / "outside.txt").write_text("as it was")
    (tmp_path / "data").mkdir()
    return tmp_path / "data"


# -- what is unpacked ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACK)
def test_all_files_come_out_as_they_went_in_beside_the_result_and_are_removed_afterwards(place, name):
    archive = PACK[name](place / name, FILES.items())
    with unpacked(archive, place / "new") as folder:
        assert folder.parent == place / "new"
        assert read(folder) == FILES
    assert not folder.exists()


def test_the_folder_is_removed_when_its_reader_fails(place):
    archive = zipped(place / "a.zip", FILES.items())
    with pytest.raises(ZeroDivisionError), unpacked(archive, place):
        raise ZeroDivisionError
    assert [path.name for path in place.iterdir()] == ["a.zip"]


@pytest.mark.parametrize("name", PACK)
def test_what_macos_adds_is_left_out(place, name):
    junk = [("__MACOSX/fold1/._a.png", b"x"), (".DS_Store", b"x"), ("fold1/.DS_Store", b"x")]
    with unpacked(PACK[name](place / name, [*junk, ("fold1/a.png", b"picture")])) as folder:
        assert read(folder) == {"fold1/a.png": b"picture"}


@pytest.mark.parametrize("name", PACK)
def test_an_archive_of_nothing_is_an_empty_folder(place, name):
    with unpacked(PACK[name](place / name, [])) as folder:
        assert list(folder.iterdir()) == []


def test_folders_of_an_archive_are_no_files(place):
    tar_folder = tarfile.TarInfo("./fold1")
    tar_folder.type = tarfile.DIRTYPE
    for archive in (
        zipped(place / "a.zip", [("fold1/", b""), ("fold1/a.png", b"p")]),
        tarred(place / "a.tar", [(tar_folder, b""), ("./fold1/a.png", b"p")]),
    ):
        with unpacked(archive) as folder:
            assert read(folder) == {"fold1/a.png": b"p"}


def test_the_modes_that_an_archive_asks_for_are_not_given(place):
    info = tarfile.TarInfo("a.sh")
    info.mode = 0o6777
    with unpacked(tarred(place / "a.tar", [(info, b"x")])) as folder:
        assert stat.S_IMODE((folder / "a.sh").stat().st_mode) & 0o7111 == 0


# -- attacks ---------------------------------------------------------------------------------------------------------

NAMES = [
    "../outside.txt", "a/../../outside.txt", "..", "/tmp/outside.txt", "//host/share.txt", "C:/outside.txt",
    "c:outside.txt", "..\\outside.txt", "\\outside.txt",
]  # fmt: skip


@pytest.mark.parametrize("member", NAMES)
@pytest.mark.parametrize("name", PACK)
def test_a_name_that_leads_elsewhere_is_refused(place, name, member):
    archive = PACK[name](place / name, [("good.txt", b"x"), (member, b"evil")])
    message = refusal(archive)
    assert repr(member) in message
    assert "absolute, climbs" in message


def test_a_name_with_a_nul_is_refused(place):
    archive = zipped(place / "a.zip", [("good.txtXevil", b"x")])
    archive.write_bytes(archive.read_bytes().replace(b"txtXevil", b"txt\0evil"))
    assert "a NUL" in refusal(archive)


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_a_zip_member_that_is_no_plain_file_is_refused(place, kind):
    info = zipfile.ZipInfo("link")
    info.external_attr = (kind | 0o777) << 16
    assert "'link' is a link or a device" in refusal(
        zipped(place / "a.zip", [("good.txt", b"x"), (info, b"../outside.txt")])
    )


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_a_tar_member_that_is_no_plain_file_is_refused(place, kind):
    info = tarfile.TarInfo("link")
    info.type, info.linkname = kind, "../outside.txt"
    members = [("good.txt", b"x"), (info, b""), ("link", b"evil")]
    assert "'link' is a link, a device" in refusal(tarred(place / "a.tar", members))


def test_a_sparse_tar_member_is_refused(place):
    info = tarfile.TarInfo("holes")
    info.type = tarfile.GNUTYPE_SPARSE
    assert "a sparse file" in refusal(tarred(place / "a.tar", [(info, b"")]))


@pytest.mark.parametrize(
    ("first", "second"), [("a.txt", "a.txt"), ("b/a.txt", "b//a.txt"), ("a.txt", "./a.txt"), ("a", "a/b"), ("a/b", "a")]
)
@pytest.mark.parametrize("name", PACK)
def test_two_members_of_one_path_are_refused(place, name, first, second):
    message = refusal(PACK[name](place / name, [(first, b"1"), (second, b"2")]))
    assert f"{second!r} has the path of another member" in message


def test_an_encrypted_member_is_refused(place):
    archive = zipped(place / "a.zip", [("secret.txt", b"x")])
    content = bytearray(archive.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1  # the flags in the directory
    content[6] |= 1  # … and before the member
    archive.write_bytes(content)
    assert "'secret.txt' is encrypted" in refusal(archive)


@pytest.mark.parametrize("name", PACK)
def test_more_bytes_than_the_limit_are_refused(monkeypatch, place, name):
    monkeypatch.setattr(archives, "LIMIT", 11_999)
    archive = PACK[name](place / name, [("a", b"x" * 6000), ("b", b"x" * 6000)])
    assert "more than 11999 bytes" in refusal(archive)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_an_archive_that_grows_too_much_is_refused(place, name, monkeypatch):
    archive = PACK[name](place / name, [("zeros", bytes(3_000_000))])
    size = archive.stat().st_size
    assert archives.RATIO * size < 3_000_000
    with unpacked(archive) as folder:  # small enough to be harmless
        assert (folder / "zeros").stat().st_size == 3_000_000
    monkeypatch.setattr(archives, "SMALL", 1000)
    assert f"more than {200 * size} bytes" in refusal(archive)


def test_a_zip_that_lies_about_its_sizes_does_not_grow_past_the_limit(monkeypatch, place):
    monkeypatch.setattr(archives, "LIMIT", 1000)
    archive = zipped(place / "a.zip", [("zeros", bytes(100_000))])
    content = archive.read_bytes().replace((100_000).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    archive.write_bytes(content)
    assert "damaged" in refusal(archive)


def test_an_endless_tar_header_is_refused_before_it_fills_the_memory(monkeypatch, place):
    monkeypatch.setattr(archives, "LIMIT", 20_000)
    info = tarfile.TarInfo("name")
    info.type, info.size = tarfile.GNUTYPE_LONGNAME, 10**6
    archive = place / "a.tar.gz"
    archive.write_bytes(gzip.compress(info.tobuf() + bytes(10**6)))
    assert "more than 20000 bytes" in refusal(archive)


# -- damage ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PACK)
@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>" * 100, b"PK\3\4" + bytes(600), b"\x1f\x8b" * 600])
def test_what_is_no_archive_is_refused(place, name, content):
    (place / name).write_bytes(content)
    assert "no archive" in refusal(place / name)


@pytest.mark.parametrize("name", PACK)
def test_a_truncated_archive_is_refused(place, name):
    archive = PACK[name](place / name, FILES.items())
    whole = archive.read_bytes().rstrip(b"\0")
    for length in range(0, len(whole), len(whole) // 20):
        archive.write_bytes(whole[:length])
        assert "damaged bytes or no archive" in refusal(archive)


def test_a_tar_that_ends_between_two_members_is_refused(place):
    archive = tarred(place / "a.tar", [("a", b"x" * 512), ("b", b"y")])
    archive.write_bytes(archive.read_bytes()[:1024])
    assert "header: empty" in refusal(archive)


def test_a_tar_with_a_damaged_header_is_not_taken_for_its_end(place):
    archive = tarred(place / "a.tar", [("a", b"x"), ("b", b"y")])
    archive.write_bytes(archive.read_bytes().replace(b"b\0\0\0", b"c\0\0\0", 1))
    assert "header: bad checksum" in refusal(archive)


@pytest.mark.parametrize("name", ["a.zip", "a.tar.gz"])
def test_a_flipped_bit_is_found_by_the_checksum(place, name):
    noise = hashlib.shake_256(b"seed").digest(50_000)
    archive = PACK[name](place / name, [("noise", noise)])
    content = bytearray(archive.read_bytes())
    content[25_000] ^= 4
    archive.write_bytes(content)
    assert "CRC" in refusal(archive)


def test_any_damaged_byte_gives_the_right_files_or_one_message(place):
    archives_ = [PACK[name](place / name, FILES.items()) for name in ("a.zip", "a.tar.gz")]
    outcomes = set()
    for archive in archives_:
        whole = archive.read_bytes()
        for k in range(0, len(whole), 3):
            archive.write_bytes(whole[:k] + bytes([whole[k] ^ 0xFF]) + whole[k + 1 :])
            try:
                with unpacked(archive) as folder:
                    outcomes.add(sorted(read(folder).values()) == sorted(FILES.values()))
            except UserError:
                outcomes.add("refused")
    assert outcomes == {True, "refused"}


# -- before anything opens a file ------------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "votes.csv"
    path.write_bytes(b"a,b\n1,2\n")
    return path


# From the command line tools sha256sum and md5sum.
SHA256 = "492d5ea496056f1a6a6592241032fab764c321596317930b4fa0e1e8bc3b7470"
MD5 = "e5ebd4c02cefbe7955977c67ada242b7"


@pytest.mark.parametrize(
    "expected", [Expected(), Expected(bytes=8), Expected(sha256=SHA256), Expected(bytes=8, sha256=SHA256, md5=MD5)]
)
def test_the_published_file_passes(file, expected):
    assert difference(file, expected) == ""


@pytest.mark.parametrize(
    ("expected", "found"),
    [
        (Expected(bytes=9, md5=MD5), "found 8 bytes, expected 9"),
        (Expected(bytes=8, md5="0" * 32), f"found md5 {MD5}, but the published file has md5 000"),
        (Expected(sha256="0" * 64, md5=MD5), f"found sha256 {SHA256}"),
    ],
)
def test_another_file_is_told_by_size_or_hash(file, expected, found):
    assert difference(file, expected).startswith(found)
