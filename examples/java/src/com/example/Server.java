package com.example;

import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.Executors;

/** Greets over HTTP with nothing but the JDK. */
public final class Server {
    public static void main(String[] args) throws IOException {
        int port = Integer.parseInt(System.getenv().getOrDefault("PORT", "8080"));
        HttpServer server = HttpServer.create(new InetSocketAddress(port), 0);
        server.setExecutor(Executors.newVirtualThreadPerTaskExecutor());
        server.createContext("/", Server::greet);
        server.start();
        System.out.println("listening on " + port);
    }

    private static void greet(HttpExchange exchange) throws IOException {
        String path = exchange.getRequestURI().getPath();
        String text = path.startsWith("/env/")
                ? System.getenv().getOrDefault(path.substring(5), "")
                : "Hello from Java " + Runtime.version().feature() + " on " + InetAddress.getLocalHost().getHostName();
        byte[] body = (text + "\n").getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "text/plain; charset=utf-8");
        exchange.sendResponseHeaders(200, body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
}
