package main

// Pinned here so that every question's file finds its library in go.mod, whichever is built first.
import (
	_ "github.com/Masterminds/sprig/v3"
	_ "github.com/spf13/cast"
	_ "github.com/tidwall/gjson"
	_ "sigs.k8s.io/yaml"
)
