import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import java.util.Properties;
import java.util.TreeMap;
import org.postgresql.PGConnection;
import org.postgresql.largeobject.LargeObject;
import org.postgresql.largeobject.LargeObjectManager;

/**
 * Drives pgjdbc through what an application does, and prints what it saw. Run against the server and through
 * the gateway, the two transcripts must be equal.
 */
public class Transcript {
  private static final TreeMap<String, String> transcript = new TreeMap<>();

  interface Check {
    Object run() throws Exception;
  }

  static void check(String name, Check check) {
    try {
      transcript.put(name, String.valueOf(check.run()));
    } catch (SQLException e) {
      transcript.put(name, e.getSQLState() + " " + e.getMessage());
    } catch (Exception e) {
      transcript.put(name, e.toString());
    }
  }

  static List<String> rows(ResultSet result) throws SQLException {
    List<String> seen = new ArrayList<>();
    while (result.next()) {
      StringBuilder row = new StringBuilder();
      for (int i = 1; i <= result.getMetaData().getColumnCount(); i++) {
        row.append(result.getString(i)).append('|');
      }
      seen.add(row.toString());
    }
    return seen;
  }

  public static void main(String[] args) throws Exception {
    Properties properties = new Properties();
    properties.setProperty("user", System.getenv("PGUSER"));
    properties.setProperty("password", System.getenv("PGPASSWORD"));
    if ("require".equals(System.getenv("PGSSLMODE"))) {
      properties.setProperty("sslmode", "require");
    }
    String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
        + System.getenv("PGDATABASE");
    try (Connection connection = DriverManager.getConnection(url, properties)) {
      checks(connection);
    }
    StringBuilder json = new StringBuilder("{");
    transcript.forEach((name, value) -> json.append(json.length() > 1 ? ",\n" : "\n").append(quoted(name))
        .append(": ").append(quoted(value)));
    System.out.println(json.append("\n}"));
  }

  static String quoted(String text) {
    return '"' + text.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n").replace("\t", "\\t") + '"';
  }

  static void checks(Connection connection) throws Exception {
    String read = "SELECT id, name, city FROM customers WHERE id <= ? ORDER BY id";
    check("prepared, past the threshold", () -> {
      List<String> seen = new ArrayList<>();
      try (PreparedStatement statement = connection.prepareStatement(read)) {
        for (int n = 1; n <= 8; n++) {
          statement.setInt(1, n % 3 + 1);
          seen.addAll(rows(statement.executeQuery()));
        }
      }
      return seen;
    });
    check("simple statement", () -> rows(connection.createStatement().executeQuery("SELECT 1, 'x', NULL")));
    check("fetch size", () -> {
      connection.setAutoCommit(false);
      try (PreparedStatement statement = connection.prepareStatement("SELECT id FROM orders ORDER BY id")) {
        statement.setFetchSize(50);
        List<String> all = rows(statement.executeQuery());
        return all.size() + " " + all.get(all.size() - 1);
      } finally {
        connection.rollback();
        connection.setAutoCommit(true);
      }
    });
    check("batch", () -> {
      try (Statement statement = connection.createStatement()) {
        statement.execute("CREATE TEMP TABLE jbatch (id int, v text)");
      }
      try (PreparedStatement statement = connection.prepareStatement("INSERT INTO jbatch VALUES (?, ?)")) {
        for (int n = 0; n < 300; n++) {
          statement.setInt(1, n);
          statement.setString(2, "v" + n);
          statement.addBatch();
        }
        return statement.executeBatch().length;
      }
    });
    check("copy in and out", () -> {
      var copy = connection.unwrap(PGConnection.class).getCopyAPI();
      long in = copy.copyIn("COPY jbatch FROM STDIN", new java.io.StringReader("1000\tx\n1001\ty\n"));
      var out = new java.io.StringWriter();
      copy.copyOut("COPY (SELECT id, v FROM jbatch WHERE id > 998 ORDER BY id) TO STDOUT", out);
      return in + " " + out;
    });
    check("transaction", () -> {
      connection.setAutoCommit(false);
      try (Statement statement = connection.createStatement()) {
        statement.executeUpdate("UPDATE orders SET note = 'java' WHERE id = 4");
        var savepoint = connection.setSavepoint();
        try {
          statement.executeQuery("SELECT 1/0");
        } catch (SQLException e) {
          connection.rollback(savepoint);
        }
        return rows(statement.executeQuery("SELECT note FROM orders WHERE id = 4"));
      } finally {
        connection.rollback();
        connection.setAutoCommit(true);
      }
    });
    check("large object", () -> {
      connection.setAutoCommit(false);
      try {
        LargeObjectManager all = connection.unwrap(PGConnection.class).getLargeObjectAPI();
        long number = all.createLO(LargeObjectManager.READWRITE);
        LargeObject large = all.open(number, LargeObjectManager.READWRITE);
        large.write("x".repeat(100_000).getBytes("UTF-8"));
        large.write("the end".getBytes("UTF-8"));
        large.seek64(99_990, LargeObject.SEEK_SET);
        String seen = new String(large.read(20), "UTF-8") + large.tell64() + " " + large.size64();
        large.close();
        all.delete(number);
        return seen;
      } finally {
        connection.rollback();
        connection.setAutoCommit(true);
      }
    });
    check("error", () -> connection.createStatement().executeQuery("SELECT * FROM no_such_table"));
    check("metadata", () -> rows(connection.getMetaData().getColumns(null, "public", "orders", "%")).size());
    check("alive", () -> rows(connection.createStatement().executeQuery("SELECT 'alive'")));
  }
}
