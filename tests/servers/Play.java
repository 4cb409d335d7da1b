/*
 * Plays the answers of a playbook (playbook.py) by the JDK's own HttpServer.
 *   java Play.java PORT PLAYBOOK
 */
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.Executors;

class Play {
	static String line(InputStream in) throws IOException {
		StringBuilder line = new StringBuilder();
		for (int c; (c = in.read()) > 0 && c != '\n';)
			line.append((char) c);
		return line.toString();
	}

	static void play(Path file, HttpExchange exchange) throws IOException, InterruptedException {
		try (InputStream answer = new BufferedInputStream(Files.newInputStream(file))) {
			String[] head = line(answer).split(" ", 4);
			Thread.sleep(Long.parseLong(head[0]));
			exchange.getResponseHeaders().set("content-type", head[3]);
			// 0 is how this server calls a length that is not known.
			long length = Long.parseLong(head[2]);
			exchange.sendResponseHeaders(Integer.parseInt(head[1]), length < 0 ? 0 : length);
			OutputStream body = exchange.getResponseBody();
			body.flush();
			while (true) {
				String[] words = line(answer).split(" ");
				Thread.sleep(Long.parseLong(words[0]));
				if (words[1].equals("end")) {
					body.close();
					return;
				}
				if (words[1].equals("break"))
					throw new IOException("broken off, as asked for");
				body.write(answer.readNBytes(Integer.parseInt(words[1])));
				body.flush();
			}
		}
	}

	static void answer(HttpExchange exchange, Path playbook) throws IOException {
		int length = exchange.getRequestBody().readAllBytes().length;
		try {
			if (exchange.getRequestMethod().equals("POST")) {
				play(playbook.resolve(Integer.toString(length)), exchange);
				return;
			}
			byte[] ok = "{\"status\": \"ok\"}".getBytes(StandardCharsets.US_ASCII);
			exchange.sendResponseHeaders(200, ok.length);
			exchange.getResponseBody().write(ok);
			exchange.close();
		} catch (InterruptedException e) {
			Thread.currentThread().interrupt();
		}
	}

	public static void main(String[] args) throws IOException {
		HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(args[0])), 128);
		server.createContext("/", exchange -> answer(exchange, Path.of(args[1])));
		server.setExecutor(Executors.newCachedThreadPool());
		server.start();
	}
}
