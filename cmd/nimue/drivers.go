package main

// The drivers that are built in, with their adapters. For another one, add its import
// here and build.
import (
	_ "github.com/go-sql-driver/mysql"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "github.com/nimue-go/nimue/adapter/mysql"
	_ "github.com/nimue-go/nimue/adapter/pgx"
	_ "github.com/nimue-go/nimue/adapter/sqlite"
	_ "modernc.org/sqlite"
)
