"""How passwords are stored: Argon2, with parameters of OWASP."""

from django.contrib.auth import hashers


class Argon2PasswordHasher(hashers.Argon2PasswordHasher):
    """Argon2id with 19 MiB for each attempt; Django's class takes 100.

    Anybody can make the server hash a password: with 100 MiB six attempts at the same
    moment kill a container of 512 MB.
    https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html#argon2id
    """

    time_cost = 2
    memory_cost = 19_456
    parallelism = 1
