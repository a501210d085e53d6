// The oracle answers what Go's own libraries make of a case: one JSON object a line in, one a line out.
//
//	{"ask": "regexp", "input": {…}}  →  {"answer": …}  or  {"fault": "…"}
//
// Each kind of question registers itself in a file of its own. It is built by `make oracle` alone; the answers are
// recorded beside the tests that replay them.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
)

// questions holds what can be asked, by name; bytes travel as base64 ([]byte in Go's JSON).
var questions = map[string]func(json.RawMessage) (any, error){}

type question struct {
	Ask   string          `json:"ask"`
	Input json.RawMessage `json:"input"`
}

type answer struct {
	Answer any    `json:"answer,omitempty"`
	Fault  string `json:"fault,omitempty"`
}

func main() {
	in := bufio.NewReaderSize(os.Stdin, 1<<20)
	out := json.NewEncoder(os.Stdout)
	out.SetEscapeHTML(false)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			if encoding := out.Encode(reply(line)); encoding != nil {
				fmt.Fprintln(os.Stderr, encoding)
				os.Exit(1)
			}
		}
		if err != nil {
			return
		}
	}
}

func reply(line []byte) (result answer) {
	// A library that panics on a case has answered with a fault, as it would inside a controller.
	defer func() {
		if caught := recover(); caught != nil {
			result = answer{Fault: fmt.Sprint("panic: ", caught)}
		}
	}()
	var asked question
	if err := json.Unmarshal(line, &asked); err != nil {
		return answer{Fault: err.Error()}
	}
	ask, known := questions[asked.Ask]
	if !known {
		return answer{Fault: "no such question: " + asked.Ask}
	}
	found, err := ask(asked.Input)
	if err != nil {
		return answer{Fault: err.Error()}
	}
	return answer{Answer: found}
}
