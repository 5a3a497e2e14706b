# SPDX-License-Identifier: Apache-2.0
"""A real browser: headless Chromium, driven by Selenium. It ends with a look at its console, where everything that the
page did wrong is written: a script that was refused, an exception, a file that is not there."""

import os
import re

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common import utils
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait

from clients import PATIENCE


class Driver(Service):
    """By its address: a system just made has no /etc/hosts yet that would know the name that Selenium uses."""

    @property
    def service_url(self):
        return f"http://127.0.0.1:{self.port}"

    def is_connectable(self):
        return utils.is_connectable(self.port, "127.0.0.1")


class Browser:
    """`forgives`: what may stand in the console, a pattern (the browser writes down each connection that fails)."""

    def __init__(self, *, width=1100, height=900, scale=1, scheme="light", forgives="(?!)"):
        options = webdriver.ChromeOptions()
        for argument in ("headless=new", "disable-dev-shm-usage", "disable-gpu", "hide-scrollbars", "lang=en-GB"):
            options.add_argument(f"--{argument}")
        options.add_argument("--remote-debugging-pipe")  # for the same reason
        if os.geteuid() == 0:
            options.add_argument("--no-sandbox")  # which root cannot have
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(service=Driver("/usr/bin/chromedriver"), options=options)
        self._forgives = re.compile(forgives)
        metrics = {"width": width, "height": height, "deviceScaleFactor": scale, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", media)

    def __enter__(self):
        return self

    def __exit__(self, exception_type, exception, traceback):
        complaints = self.console()
        self.driver.quit()
        if exception_type is not None:
            print("\n".join(["the console:", *complaints]))
        else:
            assert [line for line in complaints if not self._forgives.search(line)] == []

    def console(self):
        return [f"{entry['level']} {entry['message']}" for entry in self.driver.get_log("browser")]

    def open(self, url):
        self.driver.get(url)
        return self

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """What stands in the page, as it stands there: not what of it is drawn."""
        return self.one(selector).get_property("textContent")

    def texts(self, selector):
        script = "return [...document.querySelectorAll(arguments[0])].map(element => element.textContent)"
        return self.driver.execute_script(script, selector)

    def wait(self, condition):
        """Until condition() is true; what it is then."""
        return WebDriverWait(self.driver, PATIENCE, poll_frequency=0.05).until(lambda _: condition())

    def wait_for_text(self, selector, text):
        self.wait(lambda: text in self.text(selector))

    def type(self, selector, text):
        field = self.one(selector)
        field.clear()
        field.send_keys(text)

    def click(self, selector):
        self.one(selector).click()

    def screenshot(self, path):
        self.driver.save_screenshot(str(path))
