// Plays the answers of a playbook (playbook.py) by Go's net/http, which calls no C library.
//
//	play PORT PLAYBOOK
package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

func play(name string, w http.ResponseWriter) {
	file, err := os.Open(name)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer file.Close()
	answer := bufio.NewReader(file)
	line, _ := answer.ReadString('\n')
	head := strings.SplitN(strings.TrimSuffix(line, "\n"), " ", 4)
	ms, _ := strconv.Atoi(head[0])
	time.Sleep(time.Duration(ms) * time.Millisecond)
	status, _ := strconv.Atoi(head[1])
	w.Header().Set("content-type", head[3])
	if head[2] != "-1" {
		w.Header().Set("content-length", head[2])
	}
	w.WriteHeader(status)
	for {
		var ms, size int64
		var what string
		line, _ = answer.ReadString('\n')
		fmt.Sscan(line, &ms, &what)
		time.Sleep(time.Duration(ms) * time.Millisecond)
		if what == "end" {
			return
		}
		if size, err = strconv.ParseInt(what, 10, 64); err != nil {
			panic(http.ErrAbortHandler) // to be broken off
		}
		if _, err := io.CopyN(w, answer, size); err != nil {
			return
		}
		w.(http.Flusher).Flush()
	}
}

func main() {
	playbook := os.Args[2]
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		n, _ := io.Copy(io.Discard, r.Body)
		if r.Method == "GET" {
			io.WriteString(w, `{"status": "ok"}`)
			return
		}
		play(filepath.Join(playbook, strconv.FormatInt(n, 10)), w)
	})
	fmt.Fprintln(os.Stderr, http.ListenAndServe("127.0.0.1:"+os.Args[1], nil))
	os.Exit(1)
}
