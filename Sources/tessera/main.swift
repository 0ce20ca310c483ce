import ArgumentParser
import TesseraAPI
import Yams
print("tessera")
