console.log("waiting for a lock that nobody gives back");
setInterval(() => {}, 1000);
