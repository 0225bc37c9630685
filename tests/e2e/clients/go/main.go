// Drives pgx and lib/pq through what an application does, and prints what they saw. Run against the
// server and through the gateway, the two transcripts must be equal.
package main

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/lib/pq"
)

var transcript = map[string]any{}

func check(name string, run func() (any, error)) {
	value, err := run()
	if err != nil {
		var failure *pgconn.PgError
		if errors.As(err, &failure) {
			transcript[name] = map[string]any{"code": failure.Code, "message": failure.Message}
			return
		}
		transcript[name] = map[string]any{"error": err.Error()}
		return
	}
	transcript[name] = value
}

func main() {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, "")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	pgxChecks(ctx, conn)
	conn.Close(ctx)
	libpq()
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	_ = encoder.Encode(transcript)
}

func pgxChecks(ctx context.Context, conn *pgx.Conn) {
	for name, mode := range map[string]pgx.QueryExecMode{
		"cache statement": pgx.QueryExecModeCacheStatement,
		"cache describe":  pgx.QueryExecModeCacheDescribe,
		"describe exec":   pgx.QueryExecModeDescribeExec,
		"exec":            pgx.QueryExecModeExec,
		"simple":          pgx.QueryExecModeSimpleProtocol,
	} {
		check("pgx "+name, func() (any, error) {
			rows, err := conn.Query(ctx, "SELECT id, name, city FROM customers WHERE id <= $1 ORDER BY id", mode, 3)
			if err != nil {
				return nil, err
			}
			return pgx.CollectRows(rows, func(row pgx.CollectableRow) ([]any, error) { return row.Values() })
		})
	}
	check("pgx batch", func() (any, error) {
		batch := &pgx.Batch{}
		for n := range 10 {
			batch.Queue("SELECT $1::int * 2", n)
		}
		results := conn.SendBatch(ctx, batch)
		defer results.Close()
		var seen []int
		for range 10 {
			var n int
			if err := results.QueryRow().Scan(&n); err != nil {
				return nil, err
			}
			seen = append(seen, n)
		}
		return seen, nil
	})
	check("pgx copy", func() (any, error) {
		if _, err := conn.Exec(ctx, "CREATE TEMP TABLE gocopy (id int, v text)"); err != nil {
			return nil, err
		}
		var rows [][]any
		for n := range 300 {
			rows = append(rows, []any{n, strings.Repeat("v", n%10)})
		}
		return conn.CopyFrom(ctx, pgx.Identifier{"gocopy"}, []string{"id", "v"}, pgx.CopyFromRows(rows))
	})
	check("pgx transaction", func() (any, error) {
		tx, err := conn.Begin(ctx)
		if err != nil {
			return nil, err
		}
		defer tx.Rollback(ctx)
		var note *string
		if _, err := tx.Exec(ctx, "UPDATE orders SET note = 'go' WHERE id = 3"); err != nil {
			return nil, err
		}
		err = tx.QueryRow(ctx, "SELECT note FROM orders WHERE id = 3").Scan(&note)
		return note, err
	})
	check("pgx error", func() (any, error) {
		_, err := conn.Exec(ctx, "SELECT * FROM no_such_table")
		return nil, err
	})
	check("pgx alive", func() (any, error) {
		var n int
		err := conn.QueryRow(ctx, "SELECT 1").Scan(&n)
		return n, err
	})
}

func libpq() {
	db, err := sql.Open("postgres", "")
	if err != nil {
		transcript["lib/pq"] = err.Error()
		return
	}
	defer db.Close()
	check("lib/pq", func() (any, error) {
		rows, err := db.Query("SELECT id, city FROM customers WHERE id <= $1 ORDER BY id", 3)
		if err != nil {
			return nil, err
		}
		defer rows.Close()
		var seen []string
		for rows.Next() {
			var id int
			var city string
			if err := rows.Scan(&id, &city); err != nil {
				return nil, err
			}
			seen = append(seen, fmt.Sprint(id, city))
		}
		return seen, rows.Err()
	})
}
