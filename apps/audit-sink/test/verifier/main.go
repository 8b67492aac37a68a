// Verifies a log with the Go checksum database's own libraries, from files as the log serves them: checkpoint, tiles and entry
// bundles at their C2SP tlog-tiles paths, and proofs as JSON. It shares no code with what wrote them.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

const width = 256

type proofs struct {
	Inclusion []struct {
		Index int64
		Leaf  []byte
		Proof []tlog.Hash
	}
	Consistency struct {
		Size  int64
		Root  tlog.Hash
		Proof []tlog.Hash
	}
}

func main() {
	dir, key := os.Args[1], os.Args[2]
	size, root := checkpoint(dir, key)
	tiles := reader{dir: dir, size: size}

	// The root, from the hashes in the tiles.
	got, err := tlog.TreeHash(size, tiles)
	must(err)
	if got != root {
		fail("the tiles give another root")
	}
	// Every entry, against its hash in the tiles.
	for index := int64(0); index < size; index += width {
		n := min(width, size-index)
		entries := bundle(read(dir, path("entries", index/width, n)))
		if int64(len(entries)) != n {
			fail("a bundle of another size")
		}
		for i, entry := range entries {
			hashes, err := tiles.ReadHashes([]int64{tlog.StoredHashIndex(0, index+int64(i))})
			must(err)
			if tlog.RecordHash(entry) != hashes[0] {
				fail(fmt.Sprintf("entry %d is not what its hash says", index+int64(i)))
			}
		}
	}
	var given proofs
	must(json.Unmarshal(read(dir, "proofs.json"), &given))
	for _, one := range given.Inclusion {
		must(tlog.CheckRecord(tlog.RecordProof(one.Proof), size, root, one.Index, tlog.RecordHash(one.Leaf)))
	}
	older := given.Consistency
	must(tlog.CheckTree(tlog.TreeProof(older.Proof), size, root, older.Size, older.Root))
	fmt.Printf("%d entries, %d inclusion proofs, consistent with %d\n", size, len(given.Inclusion), older.Size)
}

func checkpoint(dir, key string) (int64, tlog.Hash) {
	verifier, err := note.NewVerifier(key)
	must(err)
	opened, err := note.Open(read(dir, "checkpoint"), note.VerifierList(verifier))
	must(err)
	lines := strings.Split(opened.Text, "\n")
	if lines[0] != verifier.Name() {
		fail("a checkpoint of another log")
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	must(err)
	var root tlog.Hash
	decoded, err := base64.StdEncoding.DecodeString(lines[2])
	must(err)
	copy(root[:], decoded)
	return size, root
}

// reader finds the hashes that tlog asks for, by its own numbering, in C2SP tiles.
type reader struct {
	dir  string
	size int64
}

func (r reader) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		tile := level / 8
		count := int64(1) << (level % 8)
		first := n * count
		there := min(width, (r.size>>(8*tile))-first/width*width)
		bytes := read(r.dir, path(strconv.Itoa(tile), first/width, there))
		row := make([]tlog.Hash, count)
		for j := range row {
			copy(row[j][:], bytes[(first%width+int64(j))*sha256.Size:])
		}
		for len(row) > 1 {
			for j := 0; j < len(row)/2; j++ {
				row[j] = tlog.NodeHash(row[2*j], row[2*j+1])
			}
			row = row[:len(row)/2]
		}
		hashes[i] = row[0]
	}
	return hashes, nil
}

func path(level string, n, width int64) string {
	name := fmt.Sprintf("%03d", n%1000)
	for n >= 1000 {
		n /= 1000
		name = fmt.Sprintf("x%03d/%s", n%1000, name)
	}
	if width < 256 {
		name += fmt.Sprintf(".p/%d", width)
	}
	return filepath.Join("tile", level, name)
}

func bundle(bytes []byte) [][]byte {
	var entries [][]byte
	for len(bytes) > 0 {
		n := int(binary.BigEndian.Uint16(bytes))
		entries = append(entries, bytes[2:2+n])
		bytes = bytes[2+n:]
	}
	return entries
}

func read(dir, name string) []byte {
	bytes, err := os.ReadFile(filepath.Join(dir, name))
	must(err)
	return bytes
}

func must(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(reason string) {
	fmt.Fprintln(os.Stderr, reason)
	os.Exit(1)
}
