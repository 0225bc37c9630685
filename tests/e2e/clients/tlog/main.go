// Checks a copy of a gateway's log with Go's own implementation of transparency logs, which the Go
// command trusts its modules with: tlog [-old CHECKPOINT] KEY DIR prints what it found, or fails. So does
// tlog -proof KEY FILE of a proof that one entry is in the log.
package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"flag"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

func main() {
	log.SetFlags(0)
	old := flag.String("old", "", "a checkpoint that the log must have grown from")
	one := flag.Bool("proof", false, "check a proof of one entry")
	flag.Parse()
	key, dir := flag.Arg(0), flag.Arg(1)
	if *one {
		proven(dir, key)
		return
	}
	checkpoint, err := os.ReadFile(filepath.Join(dir, "checkpoint"))
	check(err)
	now := open(checkpoint, key)
	reader := tlog.TileHashReader(now, tiles{dir})
	for _, at := range []int64{0, now.N / 3, now.N - 1} {
		// Both read authenticated hashes: a tile that does not lead to the root is an error.
		proof, err := tlog.ProveRecord(now.N, at, reader)
		check(err)
		hash := tlog.RecordHash(entry(dir, at, now.N))
		check(tlog.CheckRecord(proof, now.N, now.Hash, at, hash))
	}
	if *old != "" {
		checkpoint, err := os.ReadFile(*old)
		check(err)
		then := open(checkpoint, key)
		proof, err := tlog.ProveTree(now.N, then.N, reader)
		check(err)
		check(tlog.CheckTree(proof, now.N, now.Hash, then.N, then.Hash))
		fmt.Printf("grown from %d\n", then.N)
	}
	for at := range now.N {
		fmt.Println(hex.EncodeToString(entry(dir, at, now.N)))
	}
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// open gives the tree that a signed checkpoint commits to.
func open(text []byte, key string) tlog.Tree {
	verifier, err := note.NewVerifier(key)
	check(err)
	signed, err := note.Open(text, note.VerifierList(verifier))
	check(err)
	lines := strings.Split(signed.Text, "\n")
	if lines[0] != verifier.Name() {
		log.Fatalf("the checkpoint is of %q", lines[0])
	}
	size, err := strconv.ParseInt(lines[1], 10, 64)
	check(err)
	root, err := base64.StdEncoding.DecodeString(lines[2])
	check(err)
	tree := tlog.Tree{N: size}
	if copy(tree.Hash[:], root) != tlog.HashSize || len(root) != tlog.HashSize {
		log.Fatal("the root has another length")
	}
	return tree
}

// proven prints the entry that a proof is about.
func proven(file, key string) {
	text, err := os.ReadFile(file)
	check(err)
	head, checkpoint, _ := strings.Cut(string(text), "\n\n")
	tree := open([]byte(checkpoint), key)
	lines := strings.Split(head, "\n")
	entry, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(lines[1], "extra "))
	check(err)
	index, err := strconv.ParseInt(strings.TrimPrefix(lines[2], "index "), 10, 64)
	check(err)
	var path tlog.RecordProof
	for _, line := range lines[3:] {
		hash, err := base64.StdEncoding.DecodeString(line)
		check(err)
		path = append(path, tlog.Hash(hash))
	}
	leaf := sha256.Sum256(entry)
	check(tlog.CheckRecord(path, tree.N, tree.Hash, index, tlog.RecordHash(leaf[:])))
	fmt.Println(string(entry))
}

// place is the path of a tile, without the tile height that Go's own has.
func place(tile tlog.Tile) string {
	path := strings.TrimPrefix(tile.Path(), "tile/8/")
	return filepath.Join("tile", strings.Replace(path, "data/", "entries/", 1))
}

// entry is the data of one entry, from its bundle.
func entry(dir string, at, size int64) []byte {
	tile := tlog.Tile{H: 8, L: -1, N: at / 256, W: int(min(256, size-at/256*256))}
	bundle, err := os.ReadFile(filepath.Join(dir, place(tile)))
	check(err)
	for range at % 256 {
		bundle = bundle[2+int(bundle[0])<<8+int(bundle[1]):]
	}
	length := int(bundle[0])<<8 + int(bundle[1])
	return bundle[2 : 2+length]
}

type tiles struct{ dir string }

func (t tiles) Height() int { return 8 }

func (t tiles) ReadTiles(wanted []tlog.Tile) ([][]byte, error) {
	var found [][]byte
	for _, tile := range wanted {
		bytes, err := os.ReadFile(filepath.Join(t.dir, place(tile)))
		if err != nil {
			return nil, err
		}
		found = append(found, bytes)
	}
	return found, nil
}

func (t tiles) SaveTiles([]tlog.Tile, [][]byte) {}
